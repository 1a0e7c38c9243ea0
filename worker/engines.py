"""The engines that a screen worker has in memory, each checked against its checkpoint's golden tensors."""

from dataclasses import dataclass

import structlog

from screening import checkpoints
from screening.inference.batch_size import batch_size_of
from screening.inference.bundle import Bundle, BundleError
from screening.inference.choice import open_engine
from screening.inference.engine import Engine, EngineError
from screening.inference.selfcheck import check_against_golden
from screening.storage import StorageError
from screening.system import System
from worker.blame import other_originals, storage_is_away

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

    def drop(self, checkpoint_id: str) -> None:
        """Forget an engine: the next one that is asked for is opened anew."""
        self._loaded.pop(checkpoint_id, None)

    def _open(self, checkpoint_id: str) -> LoadedEngine:
        settings = self._system.settings
        with self._system.database.read() as session:
            form = checkpoints.get(session, checkpoint_id).form
        bundle = self._fetch(checkpoint_id)
        try:
            engine = open_engine(settings.engine, bundle, form, self._threads)
            check = check_against_golden(engine, bundle, form)
            size = settings.batch_size or batch_size_of(engine, settings.data_dir / "batch-sizes.json")
        except (BundleError, EngineError):
            raise
        except Exception as error:
            # A device fails in ways of its own.
            raise EngineError(f"{bundle.name} ({form}) cannot be loaded here: {error!r}") from error
        log.info("engine ready", checkpoint=checkpoint_id, engine=engine.name, difference=check.difference)
        return LoadedEngine(engine, bundle, form, size)

    def _fetch(self, checkpoint_id: str) -> Bundle:
        try:
            return checkpoints.fetch_bundle(
                self._system.storage, checkpoint_id, self._system.settings.data_dir / "checkpoints"
            )
        except StorageError as error:
            if storage_is_away(self._system, [error], lambda session: other_originals(session, [checkpoint_id])):
                raise
            raise BundleError(f"its files cannot be read from storage: {error}; restore them from a backup") from error


def check_still_works(loaded: LoadedEngine) -> None:
    """Raises EngineError where an engine does not reproduce its golden tensors any more: no scan is to blame then."""
    try:
        check_against_golden(loaded.engine, loaded.bundle, loaded.form)
    except Exception as error:
        raise EngineError(
            f"the {loaded.engine.name} engine on {loaded.engine.device} broke while it was in use ({error}); it is "
            "opened again after a pause, look at the device should that not help"
        ) from error
