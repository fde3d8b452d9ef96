"""The store of this installation."""

from operations.stores.local_disk import local_disk
from operations.stores.store import Store


def selected_store() -> Store:
    return local_disk()
