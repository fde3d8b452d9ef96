"""Keywords that KTRDR adds to the JSON schemas of an operation type's parameters and result."""

INPUT_MARK = "x-ktrdr-input"
"""In the schema of a parameter: its value names an input file (`worker_agent.inputs`)."""
ORDER_MARK = "x-ktrdr-order"
"""In the schema of an object: the names of its values in the order of declaration. The backend adds it at a registration."""
RESULT_MARK = "x-ktrdr-shown"
"""In the schema of a value of the result: how pages show it (`worker_agent.results`)."""
