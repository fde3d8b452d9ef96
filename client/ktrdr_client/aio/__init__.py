"""The client with coroutines. `tools/blocking_client.py` writes `ktrdr_client.sync` from this package."""
