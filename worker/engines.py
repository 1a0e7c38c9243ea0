"""The engines that a screen worker has in memory, each checked against its checkpoint's golden tensors."""

from dataclasses import dataclass

import structlog

from screening import checkpoints
from screening.inference.batch_size import batch_size_of
from screening.inference.bundle import Bundle
from screening.inference.choice import open_engine
from screening.inference.engine import Engine
from screening.inference.selfcheck import check_against_golden
from screening.system import System

log = structlog.get_logger()

CHECKPOINTS_IN_MEMORY = 2
BATCH_SIZE_UNTIL_MEASURED = 32


@dataclass(frozen=True)
class LoadedEngine:
    """An engine that has reproduced its checkpoint's golden tensors."""

    engine: Engine
    bundle: Bundle
    form: str
    batch_size: int
    """How many renditions it takes at once at its best."""


class Engines:
    """Opens engines when they are asked for, and keeps the two that were used last."""

    def __init__(self, system: System, threads: int) -> None:
        self._system = system
        self._threads = threads
        self._loaded: dict[str, LoadedEngine] = {}

    def details(self) -> dict[str, object]:
        loaded = dict(self._loaded)
        device = next((item.engine.device for item in loaded.values()), "not loaded yet")
        return {"engines": {key: f"{item.engine.name} {item.form}" for key, item in loaded.items()}, "device": device}

    @property
    def batch_size(self) -> int:
        """As set, or what suits every engine in memory."""
        sizes = [item.batch_size for item in dict(self._loaded).values()]
        return min(sizes, default=self._system.settings.batch_size or BATCH_SIZE_UNTIL_MEASURED)

    def get(self, checkpoint_id: str) -> LoadedEngine:
        """The engine of a checkpoint. Raises BundleError or EngineError where it cannot be served here."""
        known = self._loaded.pop(checkpoint_id, None)
        if known is None:
            known = self._open(checkpoint_id)
            while len(self._loaded) >= CHECKPOINTS_IN_MEMORY:
                self._loaded.pop(next(iter(self._loaded)))
        self._loaded[checkpoint_id] = known
        return known

    def _open(self, checkpoint_id: str) -> LoadedEngine:
        settings = self._system.settings
        with self._system.database.read() as session:
            form = checkpoints.get(session, checkpoint_id).form
        bundle = checkpoints.fetch_bundle(self._system.storage, checkpoint_id, settings.data_dir / "checkpoints")
        engine = open_engine(settings.engine, bundle, form, self._threads)
        check = check_against_golden(engine, bundle, form)
        log.info("engine ready", checkpoint=checkpoint_id, engine=engine.name, difference=check.difference)
        size = settings.batch_size or batch_size_of(engine, settings.data_dir / "batch-sizes.json")
        return LoadedEngine(engine, bundle, form, size)
