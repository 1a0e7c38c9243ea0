"""Storage in which some calls fail, and a preparer that works with it."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from screening.radiographs.limits import DecodeLimits
from screening.storage import Storage, StorageError
from screening.system import System
from tests.installation import Installation
from worker.prepare import Preparer


class Troubled:
    """Storage in which calls that `trouble` does not like fail."""

    def __init__(self, real: Storage, trouble: Callable[[str, str], StorageError | None]) -> None:
        self._real = real
        self._trouble = trouble

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def get(self, key: str) -> bytes:
        self._look("get", key)
        return self._real.get(key)

    def put(self, key: str, data: bytes) -> None:
        self._look("put", key)
        self._real.put(key, data)

    def ping(self) -> None:
        self._look("ping", "")
        self._real.ping()

    def _look(self, call: str, key: str) -> None:
        error = self._trouble(call, key)
        if error is not None:
            raise error


def troubled(made: Installation, trouble: Callable[[str, str], StorageError | None]) -> System:
    return replace(made.system, storage=cast(Storage, Troubled(made.system.storage, trouble)))


def prepare_with(system: System, slices: int = 1) -> list[bool]:
    """What each of some slices said of work that is left."""
    preparer = Preparer(system, DecodeLimits(), children=2)
    answers = [preparer.prepare_slice(lambda: False) for _ in range(slices)]
    preparer.close()
    return answers
