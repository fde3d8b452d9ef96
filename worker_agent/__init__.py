"""The agent that every KTRDR worker is built on."""
