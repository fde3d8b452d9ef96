"""Read market data from files as people have them, and report how each file was understood."""
