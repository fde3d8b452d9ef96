"""The client; `tools/blocking_client.py` writes this package."""
