"""Content-addressed objects: where originals, renditions, display images and checkpoints lie."""

from screening.storage.backends import open_storage
from screening.storage.keys import (
    checkpoint_key,
    container_key,
    display_key,
    original_key,
    rendition_key,
    set_aside_key,
)
from screening.storage.objects import Incoming, ObjectMissing, Storage, StorageError, StorageFull, StoredObject

__all__ = [
    "Incoming",
    "ObjectMissing",
    "Storage",
    "StorageError",
    "StorageFull",
    "StoredObject",
    "checkpoint_key",
    "container_key",
    "display_key",
    "open_storage",
    "original_key",
    "rendition_key",
    "set_aside_key",
]
