"""Rankings made up for the tests: examples that share one small picture, and scores that know something of labels."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.data.manifest import Example

Ranking = tuple[NDArray[np.float64], list[Example]]


def make_examples(
    folder: Path, labels: list[bool], groups: list[str], width: int = 96, height: int = 120
) -> list[Example]:
    """One example for each label; fractured ones have one box, in the upper left."""
    path = folder / f"picture-{width}x{height}.png"
    if not path.exists():
        Image.new("L", (width, height), 90).save(path)
    return [
        Example(
            image_id=f"made-up-{index}",
            path=path,
            fractured=fractured,
            group=group,
            body_part=("hand", "leg")[index % 2],
            boxes=((0.1, 0.1, 0.3, 0.2),) if fractured else (),
            traits={
                "frontal": "1",
                "hardware": str(index % 5 // 4),
                "fracture_count": str(int(fractured) * (1 + index % 3)),
            },
        )
        for index, (fractured, group) in enumerate(zip(labels, groups, strict=True))
    ]


def make_ranking(folder: Path, count: int = 300, per_group: int = 3, strength: float = 1.2, seed: int = 0) -> Ranking:
    """Probabilities (count,) with some ties, and the examples that they rank."""
    random = np.random.default_rng(seed)
    labels = random.random(count) < 0.25
    logits = random.normal(strength * labels - 1.5, 1)
    probabilities = np.round(1 / (1 + np.exp(-logits)), 2)
    return probabilities, make_examples(folder, labels.tolist(), [f"g{i // per_group}" for i in range(count)])
