"""Near copies among the pictures of a data set: found, kept together, and never on both sides of a split.

A copy may have been saved again, in another size or with other greys. A perceptual hash of 64 bits (the signs of the
low frequencies of a cosine transform) picks the pairs worth a look, and the correlation of thumbnails decides. Among
3,207 FracAtlas pictures the hashes of true copies differ in at most 2 bits, and their thumbnails correlate over 0.99,
where the next pair below has 0.983.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from screening.radiographs.rendition import RenditionSpec
from training.data.example import Example

THUMBNAIL = RenditionSpec(side=64)
"""Squares of this spec are all that the search for copies needs; larger ones are reduced to it."""

_HASH_SIDE = 8
_BITS_APART = 8
_CORRELATION = 0.985
_BLOCK = 1024
_NAMED = 3


def near_copies(squares: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """All pairs (a, b), a < b, of pictures that show the same. squares: (n, side, side), as `square_renditions` gives.

    Pictures without any contrast are copies of each other.
    """
    thumbnails = _thumbnails(squares)
    signs = _hash_signs(thumbnails)
    flat = thumbnails.reshape(len(thumbnails), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.where(norm > 0, norm, 1)
    blank = norm[:, 0] == 0
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(signs), _BLOCK):
        # The product of two rows of signs is the number of equal bits less the number of different ones.
        agreement = signs[start : start + _BLOCK] @ signs[start:].T
        first, second = np.nonzero(agreement >= signs.shape[1] - 2 * _BITS_APART)
        first, second = (index[first < second] + start for index in (first, second))
        for some in range(0, len(first), _BLOCK):
            a, b = first[some : some + _BLOCK], second[some : some + _BLOCK]
            alike = (np.einsum("ij,ij->i", flat[a], flat[b]) > _CORRELATION) | (blank[a] & blank[b])
            pairs += zip(a[alike].tolist(), b[alike].tolist(), strict=True)
    return pairs


def contradictions(examples: Sequence[Example], squares: NDArray[np.uint8]) -> list[tuple[str, str]]:
    """Image ids of near copies with opposite labels: one of the two is wrong, and nobody knows which."""
    pairs = near_copies(squares)
    return [_ids(examples, pair) for pair in pairs if examples[pair[0]].fractured != examples[pair[1]].fractured]


def leaks(examples: Sequence[Example], squares: NDArray[np.uint8], assignment: Sequence[int]) -> list[tuple[str, str]]:
    """Image ids of near copies that lie in different parts of a split. assignment: the part of each example."""
    return [_ids(examples, (a, b)) for a, b in near_copies(squares) if assignment[a] != assignment[b]]


def name_pairs(pairs: Sequence[tuple[str, str]]) -> str:
    """A few of the pairs and how many more there are: "a and b, c and d, and 7 more pairs"."""
    named = [f"{a} and {b}" for a, b in pairs[:_NAMED]]
    more = len(pairs) - len(named)
    return ", ".join([*named, f"and {more} more pair{'s' * (more > 1)}"] if more else named)


def find_groups(examples: Sequence[Example], squares: NDArray[np.uint8], numbered_by_patient: bool) -> list[str]:
    """A group for each example: near copies share one, directly or over others.

    numbered_by_patient: the pictures of one patient have neighbouring numbers, as in FracAtlas. Then pictures whose ids
    differ by one, and that agree in label, body part and the trait `mixed`, share a group too.
    """
    pairs = near_copies(squares)
    if numbered_by_patient:
        pairs += _neighbours(examples)
    parent = list(range(len(examples)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    names: dict[int, str] = {}
    return [names.setdefault(root(index), f"g{len(names):04d}") for index in range(len(examples))]


def _neighbours(examples: Sequence[Example]) -> list[tuple[int, int]]:
    places: dict[tuple[str, int], int] = {}
    for index, example in enumerate(examples):
        stem = re.fullmatch(r"(.*?)(\d+)", example.path.stem)
        if stem:
            places[stem[1], int(stem[2])] = index

    def kind(index: int) -> tuple[bool, str, str | None]:
        return examples[index].fractured, examples[index].body_part, examples[index].traits.get("mixed")

    following = ((index, places.get((prefix, number + 1))) for (prefix, number), index in places.items())
    return [(index, after) for index, after in following if after is not None and kind(index) == kind(after)]


def _ids(examples: Sequence[Example], pair: tuple[int, int]) -> tuple[str, str]:
    return examples[pair[0]].image_id, examples[pair[1]].image_id


def _thumbnails(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
    side = THUMBNAIL.side
    thumbnails = np.empty((len(squares), side, side), np.float32)
    for index, square in enumerate(squares):
        thumbnails[index] = np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BOX))
    return thumbnails


def _hash_signs(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    """The 64 bits of each hash as +1 and -1: which of the lowest frequencies lie over their median."""
    at, frequency = np.arange(THUMBNAIL.side), np.arange(_HASH_SIDE)
    basis = np.cos(np.pi * (2 * at[None] + 1) * frequency[:, None] / (2 * THUMBNAIL.side)).astype(np.float32)
    low = (basis @ thumbnails @ basis.T).reshape(len(thumbnails), -1)
    # The first coefficient is the mean grey, which would shift the median.
    return np.where(low > np.median(low[:, 1:], axis=1, keepdims=True), 1, -1).astype(np.float32)
