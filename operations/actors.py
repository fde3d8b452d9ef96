"""Actors of this room that are not people or workers."""

from access.actors import Actor

__all__ = ["DISPATCHER", "REGISTRATION", "SWEEP", "SYSTEM", "Actor"]

DISPATCHER = Actor("dispatcher")
SWEEP = Actor("sweep")
REGISTRATION = Actor("registration")
SYSTEM = Actor("system")
"""For changes that follow by rule from another one, such as the end of an operation that this one waits for."""
