# Generated from ../aio/__init__.py by tools/blocking_client.py: change that file, not this one.
"""The client: `aio` contains it with coroutines, `tools/blocking_client.py` generates `sync` from `aio`."""
