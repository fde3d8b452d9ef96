"""The client: `aio` contains it with coroutines, `tools/blocking_client.py` generates `sync` from `aio`."""
