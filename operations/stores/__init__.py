"""Where the bytes of stored files are. `operations.artifacts` knows what refers to them, a store only their SHA-256."""
