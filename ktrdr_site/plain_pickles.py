"""Makes reading stored pickles harmless: django-q2 stores the arguments and results of chores as pickles in the database.

A pickle can name any function and call it while it is read. Chores take no arguments and return dictionaries of
numbers and texts, so a stored pickle that names a class or a function was not written by this site.
"""

import io
import pickle
from typing import Any

from picklefield import fields


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(
            f"a stored value names {module_name}.{global_name}, but only plain values are read"
        )


def plain_loads(data: bytes) -> Any:
    """Return the stored value. Raises UnpicklingError if it names a class or a function."""
    return _PlainUnpickler(io.BytesIO(data)).load()


def install() -> None:
    """Make every PickledObjectField read its values with `plain_loads`."""
    fields.loads = plain_loads
