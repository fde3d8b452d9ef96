"""Keywords that KTRDR adds to the JSON schema of an operation type's parameters."""

INPUT_MARK = "x-ktrdr-input"
"""In the schema of a parameter: its value names an input file (`worker_agent.inputs`)."""
ORDER_MARK = "x-ktrdr-order"
"""In the schema of all parameters: their names in the order of declaration. The backend adds it at a registration."""
