"""Values of a DICOM header that may be odd: numbers, words and look-up tables, read by what is truly there."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import ExplicitVRBigEndian

_WORD = 1 << 16


class Unreadable(ValueError):
    """An element is there, but its value makes no sense."""


def value_of(dataset: Dataset, keyword: str) -> Any:
    """The value, None where the element is missing or empty. Raises Unreadable.

    pydicom converts a value when it is first looked at, and what it raises then depends on the kind of nonsense.
    """
    try:
        value = dataset.get(keyword)
        is_empty = isinstance(value, str | bytes | MultiValue) and len(value) == 0
        return None if is_empty else value
    except MemoryError:
        raise
    except Exception as error:
        raise Unreadable(keyword) from error


def number(dataset: Dataset, keyword: str) -> float | None:
    """The first number of an element, None where it is missing or empty. Raises Unreadable, also for NaN."""
    value = value_of(dataset, keyword)
    if value is None:
        return None
    try:
        found = float(value[0] if isinstance(value, MultiValue) else value)
    except (TypeError, ValueError) as error:
        raise Unreadable(keyword) from error
    if not math.isfinite(found):
        raise Unreadable(keyword)
    return found


def word(dataset: Dataset, keyword: str) -> str:
    """The one word of an element in capitals, empty where it is missing. Raises Unreadable."""
    value = value_of(dataset, keyword)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable(keyword)
    return value.strip().upper()


@dataclass(frozen=True)
class Table:
    """A look-up table: the first value that it maps, and what it and its followers become."""

    first: int
    entries: NDArray[np.float64]

    def __call__(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """Values before the first become the first entry, those beyond the last the last (PS3.3 C.11.1.1, C.11.2.1.1).

        The index is as wide as any value: one of the entries' own few bits would wrap round.
        """
        index = np.clip(np.rint(values) - self.first, 0, self.entries.size - 1).astype(np.int64)
        mapped: NDArray[np.float64] = self.entries[index]
        return mapped


def first_table(dataset: Dataset, keyword: str, lowest: float) -> Table | None:
    """The table in the first item of a sequence, None where there is no such sequence. Raises Unreadable.

    lowest: the least value that is to be mapped; it tells whether a first value of 0x8000 or more is a negative one.
    """
    sequence = value_of(dataset, keyword)
    if sequence is None:
        return None
    try:
        if len(sequence) == 0:
            return None
        item = sequence[0]
        big_endian = dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
        count, first, bits = (int(value) & 0xFFFF for value in _words(item, "LUTDescriptor", big_endian)[:3])
        count = count or _WORD
        if first >= _WORD // 2 and lowest < 0:
            first -= _WORD
        return Table(first, _entries(_words(item, "LUTData", big_endian), count, bits))
    except (MemoryError, Unreadable):
        raise
    except Exception as error:
        raise Unreadable(keyword) from error


def _words(item: Dataset, keyword: str, big_endian: bool) -> NDArray[np.uint16]:
    value = value_of(item, keyword)
    if isinstance(value, bytes):
        return np.frombuffer(value + bytes(len(value) % 2), ">u2" if big_endian else "<u2").astype(np.uint16)
    return (np.atleast_1d(np.asarray(value, np.int64)) & 0xFFFF).astype(np.uint16)


def _entries(words: NDArray[np.uint16], count: int, bits: int) -> NDArray[np.float64]:
    """One entry a word; entries of 8 bits may also be packed by twos, the low byte first (PS3.3 C.11.1.1.1)."""
    if words.size < count and bits <= 8:
        words = words.astype("<u2").view(np.uint8).astype(np.uint16)
    if words.size < count:
        raise Unreadable("LUTData")
    return words[:count].astype(np.float64)
