"""Faults, each by a name. What lasts is over when the function returns; what it killed is started again by others."""

import errno
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from tests.chaos.load import Load
from tests.chaos.stand import Stand
from tests.installation import wait_until

WORKERS = ("-Q prepare", "-Q screen", "-Q upkeep")
BEAT = "worker.app beat"
WEB = "gunicorn"


@dataclass
class Scene:
    """What a fault may take hold of."""

    stand: Stand
    load: Load
    rng: Random

    def hold(self, least: float = 1.0, most: float = 4.0) -> None:
        """Let a fault that lasts last a while."""
        time.sleep(self.rng.uniform(least, most))


Deed = Callable[[Scene], int]
"""Does it; returns how many processes it killed."""


@dataclass(frozen=True)
class Fault:
    name: str
    deed: Deed
    needs_postgres: bool = False
    weight: int = 1
    """How often it is drawn by chance, beside the others."""


def _kill(*pids: int) -> int:
    killed = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def _killing(*kinds: str) -> Deed:
    return lambda scene: _kill(*scene.stand.pids(*kinds))


def kill_decoder(scene: Scene) -> int:
    """The limited children of the prepare worker, which never restart the worker itself."""
    return _kill(*scene.stand.children_of("-Q prepare"))


def kill_web_process(scene: Scene) -> int:
    """A process that answers requests; the one that started it lives on."""
    return _kill(*scene.stand.children_of(WEB))


def kill_web_in_upload(scene: Scene) -> int:
    killed = 0

    def harm() -> None:
        nonlocal killed
        killed = _kill(*scene.stand.children_of(WEB), *scene.stand.pids(WEB))

    scene.load.break_off_upload(harm)
    return killed


def kill_supervisor(scene: Scene) -> int:
    """Whoever started it starts it again, as systemd would; what it left behind is stopped then."""
    killed = _kill(scene.stand.supervisor_pid())
    assert scene.stand.up.process is not None
    scene.stand.up.process.wait(10)
    scene.stand.up.start()
    return killed


def kill_everything(scene: Scene) -> int:
    """All at once, as when the power goes."""
    killed = _kill(scene.stand.supervisor_pid(), *(p.pid for p in scene.stand.up.supervised().values()))
    assert scene.stand.up.process is not None
    scene.stand.up.process.wait(10)
    scene.stand.up.start()
    return killed


def freeze_past_its_lease(scene: Scene) -> int:
    """The worker wakes up with work in hand that is somebody else's by then, or done."""
    pids = scene.stand.pids(scene.rng.choice(WORKERS[:2]))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(float(scene.stand.up.environment["SCREENING_LEASE_S"]) + 2)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    return 0


def kill_redis(scene: Scene) -> int:
    scene.stand.redis.end(signal.SIGKILL)
    scene.stand.redis.start()
    return 1


def stop_redis(scene: Scene) -> int:
    scene.stand.redis.end(signal.SIGTERM)
    scene.hold(3, 8)
    scene.stand.redis.start()
    return 0


def flush_redis(scene: Scene) -> int:
    with scene.stand.redis.client() as client:
        client.flushall()
    return 0


def fill_redis(scene: Scene) -> int:
    """No memory is left: every write is refused with an error."""
    with scene.stand.redis.client() as client:
        client.config_set("maxmemory", 1)
        scene.hold(3, 6)
        client.config_set("maxmemory", 0)
    return 0


def cut_redis(scene: Scene) -> int:
    scene.stand.redis_network.cut()
    scene.hold()
    scene.stand.redis_network.mend()
    return 0


def hold_redis(scene: Scene) -> int:
    """The network takes everything and brings nothing, as behind a firewall that drops."""
    scene.stand.redis_network.hold()
    scene.hold(3, 12)
    scene.stand.redis_network.mend()
    return 0


def restart_postgres(scene: Scene) -> int:
    assert scene.stand.postgres
    scene.stand.postgres.restart("fast")
    return 0


def crash_postgres(scene: Scene) -> int:
    assert scene.stand.postgres
    scene.stand.postgres.restart("immediate")
    return 1


def end_connections(scene: Scene) -> int:
    assert scene.stand.postgres
    scene.stand.postgres.end_connections()
    return 0


def cut_postgres(scene: Scene) -> int:
    assert scene.stand.postgres_network
    scene.stand.postgres_network.cut()
    scene.hold()
    scene.stand.postgres_network.mend()
    return 0


def hold_postgres(scene: Scene) -> int:
    assert scene.stand.postgres_network
    scene.stand.postgres_network.hold()
    scene.hold(2, 6)
    scene.stand.postgres_network.mend()
    return 0


def delay_network(scene: Scene) -> int:
    proxies = [proxy for proxy in (scene.stand.redis_network, scene.stand.postgres_network) if proxy]
    for proxy in proxies:
        proxy.delay(0.05)
    scene.hold(2, 4)
    for proxy in proxies:
        proxy.mend()
    return 0


def fill_disk(scene: Scene) -> int:
    """A file system in memory under the storage folder is filled to its last byte."""
    ballast = scene.stand.objects / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        block = bytes(1 << 20)
        while len(block) > 16:
            try:
                stream.write(block)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                block = block[: len(block) // 2]
    scene.hold(2, 4)
    ballast.unlink()
    return 0


def refuse_writes(scene: Scene) -> int:
    """The storage is mounted read-only, as after an error of a disk."""
    # It is busy while a file is open for writing.
    wait_until(lambda: scene.stand.remount("ro"), 10, "the storage is read-only")
    scene.hold(2, 4)
    scene.stand.remount("rw")
    return 0


def slow_storage(scene: Scene) -> int:
    scene.stand.tell("slow", 0.3)
    scene.hold(2, 4)
    scene.stand.tell("slow", 0)
    return 0


def jump_forward(scene: Scene) -> int:
    """Every clock is an hour ahead for a while: all leases seem to have ended."""
    scene.stand.tell("clock", 3600)
    scene.hold(2, 4)
    scene.stand.tell("clock", 0)
    return 0


def jump_back(scene: Scene) -> int:
    """Every clock is an hour late for a while, and right again afterwards."""
    scene.stand.tell("clock", -3600)
    scene.hold(2, 4)
    scene.stand.tell("clock", 0)
    return 0


FAULTS = (
    Fault("prepare worker killed", _killing("-Q prepare"), weight=4),
    Fault("decoding children killed", kill_decoder, weight=8),
    Fault("screen worker killed", _killing("-Q screen"), weight=4),
    Fault("upkeep worker killed", _killing("-Q upkeep"), weight=4),
    Fault("beat killed", _killing(BEAT), weight=4),
    Fault("portal killed", _killing(WEB), weight=3),
    Fault("process of the portal killed", kill_web_process, weight=6),
    Fault("portal killed in the middle of an upload", kill_web_in_upload, weight=3),
    Fault("all workers killed at once", _killing(*WORKERS), weight=3),
    Fault("supervisor killed, started again", kill_supervisor),
    Fault("everything killed at once, started again", kill_everything, weight=2),
    Fault("worker frozen past its lease, woken", freeze_past_its_lease),
    Fault("Redis killed", kill_redis, weight=2),
    Fault("Redis stopped for 3 to 8 s", stop_redis),
    Fault("Redis emptied (FLUSHALL)", flush_redis, weight=2),
    Fault("Redis out of memory for 3 to 6 s", fill_redis),
    Fault("network to Redis cut for 1 to 4 s", cut_redis),
    Fault("network to Redis silent for 3 to 12 s", hold_redis),
    Fault("PostgreSQL restarted", restart_postgres, needs_postgres=True),
    Fault("PostgreSQL crashed, recovered", crash_postgres, needs_postgres=True),
    Fault("connections ended by PostgreSQL", end_connections, needs_postgres=True, weight=2),
    Fault("network to PostgreSQL cut for 1 to 4 s", cut_postgres, needs_postgres=True),
    Fault("network to PostgreSQL silent for 2 to 6 s", hold_postgres, needs_postgres=True),
    Fault("network 50 ms slower each way for 2 to 4 s", delay_network),
    Fault("disk of the storage full for 2 to 4 s", fill_disk),
    Fault("storage read-only for 2 to 4 s", refuse_writes),
    Fault("storage 300 ms slower for 2 to 4 s", slow_storage),
    Fault("clocks an hour ahead for 2 to 4 s", jump_forward),
    Fault("clocks an hour behind for 2 to 4 s", jump_back),
)


def possible_faults(stand: Stand) -> tuple[Fault, ...]:
    """What can be done to this stand on this machine."""
    without_mount = (fill_disk, refuse_writes)
    return tuple(
        fault
        for fault in FAULTS
        if (stand.postgres or not fault.needs_postgres) and (stand.storage_is_small or fault.deed not in without_mount)
    )
