"""Who did it, of this room: every event names one."""

from access.actors import Actor

__all__ = ["DISPATCHER", "REGISTRATION", "SWEEP", "SYSTEM", "Actor"]

DISPATCHER = Actor("dispatcher")
SWEEP = Actor("sweep")
REGISTRATION = Actor("registration")
SYSTEM = Actor("system")
"""What follows by rule from something else, such as the end of an operation that this one waits for."""
