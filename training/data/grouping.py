"""Groups for a data set that comes without any: every picture is looked at, and what misleads is left out."""

from collections.abc import Callable
from dataclasses import replace

from training.data.duplicates import THUMBNAIL, contradictions, find_groups, name_pairs
from training.data.example import Example
from training.data.pictures import decodable_squares


def grouped(examples: list[Example], progress: Callable[[str], None], numbered_by_patient: bool) -> list[Example]:
    """The examples with a group each, without those that are damaged or contradict a near copy.

    What is left out is named to `progress`. For `numbered_by_patient` see `find_groups`.
    """
    progress(f"looking at {len(examples)} pictures for copies and damage")
    squares, damaged = decodable_squares(examples, THUMBNAIL)
    if damaged:
        progress(f"left out as damaged ({len(damaged)}): {', '.join(examples[i].image_id for i in damaged)}")
    kept = [index for index in range(len(examples)) if index not in damaged]
    examples, squares = [examples[index] for index in kept], squares[kept]
    groups = find_groups(examples, squares, numbered_by_patient)
    progress(f"{len(set(groups))} groups were found among {len(examples)} pictures")
    pairs = contradictions(examples, squares)
    if pairs:
        progress(f"left out as near copies with opposite labels: {name_pairs(pairs)}")
    unbelievable = {image_id for pair in pairs for image_id in pair}
    return [
        replace(example, group=group)
        for example, group in zip(examples, groups, strict=True)
        if example.image_id not in unbelievable
    ]
