"""BentoML with adaptive batching: `bentoml serve serve_bentoml:Fracture`, in the environment of bentoml.txt.

As its documentation has it, one service computes in batches and another in front of it decodes.
"""

from pathlib import Path
from typing import Annotated

import bentoml
import numpy as np
from bentoml.validators import ContentType
from network import BATCH, Network, square_of

NO_DEADLINE_MS = 60_000
"""Requests that would wait longer are refused; none is to be, here."""


@bentoml.service(workers=1)
class Batched:
    def __init__(self) -> None:
        self.network = Network()

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=NO_DEADLINE_MS)
    def probabilities(self, squares: np.ndarray) -> np.ndarray:
        return self.network.probabilities(squares)


@bentoml.service(workers=1)
class Fracture:
    batched = bentoml.depends(Batched)

    @bentoml.api
    async def predict(self, content: Annotated[Path, ContentType("image/*")]) -> dict[str, float]:
        found = await self.batched.to_async.probabilities(square_of(content.read_bytes())[None])
        return {"probability": float(found[0])}
