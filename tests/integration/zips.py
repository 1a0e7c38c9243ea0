"""Zip files that are sent and unpacked, and what became of them."""

import io
import zipfile
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from screening.database.tables import Container, Job, Receipt
from screening.radiographs.limits import ContainerLimits
from screening.system import System
from tests.installation import Installation, phantom_png
from worker.process import WorkerProcess
from worker.unpack import Unpacking


def packed(seeds: range) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for seed in seeds:
            archive.writestr(f"{seed}.png", phantom_png(seed))
    return out.getvalue()


def send_zip(made: Installation, data: bytes, lane: str = "routine") -> int:
    run = made.open_run(lane=lane)
    made.upload(run, "pictures.zip", data)
    made.submit(run)
    return run


def unpack_alone(system: System) -> bool:
    """A slice of unpacking, without preparing."""
    return Unpacking(system, ContainerLimits(), prepare=lambda _: None).unpack_slice(lambda: False)


def container(made: Installation) -> Container:
    with made.system.database.read() as session:
        return session.scalars(select(Container).order_by(Container.id)).first() or Container()


def containers(made: Installation) -> list[tuple[str, int]]:
    """State and attempts of each."""
    with made.system.database.read() as session:
        found = session.execute(select(Container.state, Container.attempts).order_by(Container.id))
        return [(state, attempts) for state, attempts in found]


def states(made: Installation, run: int) -> dict[str, int]:
    with made.system.database.read() as session:
        chosen = select(Job.state, func.count()).where(Job.run_id == run).group_by(Job.state)
        return dict(session.execute(chosen).all())


def admitted(made: Installation) -> int:
    with made.system.database.read() as session:
        return session.scalar(select(func.count()).where(Receipt.container_id.is_not(None))) or 0


class Watched:
    """A worker process that tells of every member that it has admitted."""

    def __init__(
        self, made: Installation, monkeypatch: pytest.MonkeyPatch, look: Callable[[int, WorkerProcess], None]
    ) -> None:
        self.process = WorkerProcess(made.system)
        self.members = 0
        admit = Unpacking._admit

        def admit_and_look(*arguments: object) -> None:
            admit(*arguments)  # type: ignore[arg-type]
            self.members += 1
            look(self.members, self.process)

        monkeypatch.setattr(Unpacking, "_admit", admit_and_look)

    def prepare(self) -> None:
        self.process.prepare()
        if self.process._preparer:
            self.process._preparer.close()
