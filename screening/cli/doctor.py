"""`screening doctor`: check an installation point by point, and say what to do about each that is wrong."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from screening.cli.installation import command_actor, data_option, open_database, settings_beside
from screening.settings import Settings, SettingsError

SCARCE_BYTES = 2 * 10**9
KINDS = ("prepare", "screen", "upkeep", "beat")


@dataclass(frozen=True)
class Finding:
    """One point: what was found, and what to do when it is not well."""

    point: str
    ok: bool
    found: str
    mended: bool = False


@click.command
@click.option("--storage", "objects", is_flag=True, help="Also compare the database with every object in storage.")
@click.option("--hashes", is_flag=True, help="Also read every original and compare its hash. This takes its time.")
@click.option("--repair", is_flag=True, help="Mend what can be mended; implies --storage. Without it nothing changes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@data_option
def doctor(objects: bool, hashes: bool, repair: bool, as_json: bool, data: Path | None) -> None:
    """Check settings, database, Redis, storage, checkpoint, workers and free space. Exit code 1 when one is wrong.

    The database's rows are checked against each other too. --storage, --hashes and --repair go further.
    """
    from screening.cli.display import print_json

    findings = []
    for finding in _examine(data, _Depth(objects=objects or hashes or repair, hashes=hashes, repair=repair)):
        findings.append(finding)
        if not as_json:
            word = "ok" if finding.ok else "MENDED" if finding.mended else "PROBLEM"
            click.echo(f"{word:<9}{finding.point:<12}{finding.found}")
    healthy = all(finding.ok or finding.mended for finding in findings)
    if as_json:
        print_json({"ok": healthy, "findings": [asdict(finding) for finding in findings]})
    if not healthy:
        click.get_current_context().exit(1)


@dataclass(frozen=True)
class _Depth:
    """How far the check goes beyond the usual points."""

    objects: bool
    hashes: bool
    repair: bool


def _examine(data: Path | None, depth: _Depth) -> Iterator[Finding]:
    try:
        settings = settings_beside(data)
    except SettingsError as error:
        yield Finding("settings", False, str(error).replace("\n", "; "))
        return
    yield Finding("settings", True, f"understood; data folder {settings.data_dir.resolve()}")
    schema = _point("database", lambda: _database(settings))
    yield schema
    yield _point("redis", lambda: _redis(settings))
    storage = _point("storage", lambda: _storage(settings))
    yield storage
    if schema.ok:
        if storage.ok:
            yield _point("belonging", lambda: _belonging(settings))
        yield _point("checkpoint", lambda: _checkpoint(settings))
        for kind in KINDS:
            yield _point(kind, lambda kind=kind: _worker(settings, kind))  # type: ignore[misc]
        yield from _records(settings, depth)
    yield _point("free space", lambda: _space(settings))


def _point(name: str, check: Callable[[], tuple[bool, str]]) -> Finding:
    """Any error is what this command looks for: it becomes a finding, and the other points are still checked."""
    try:
        return Finding(name, *check())
    except Exception as error:
        return Finding(name, False, (str(error).strip() or type(error).__name__).splitlines()[0])


def _database(settings: Settings) -> tuple[bool, str]:
    from sqlalchemy import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from screening.database.migrate import has_newest_schema

    url = make_url(settings.resolved_database_url)
    shown = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return False, f"{shown} does not exist; start `screening up`, or name the data folder with --data"
    try:
        at_head = has_newest_schema(open_database(settings))
    except SQLAlchemyError as error:
        reason = str(error).strip().splitlines()[0]
        return False, f"{shown} does not answer ({reason}); start it, or correct SCREENING_DATABASE_URL"
    if not at_head:
        return False, f"{shown} does not have the schema of this release; call `screening migrate`"
    return True, f"{shown} has the schema of this release"


def _redis(settings: Settings) -> tuple[bool, str]:
    from redis import Redis
    from redis.exceptions import RedisError

    if not settings.redis_url:
        return False, "SCREENING_REDIS_URL is not set; start `screening up`, which brings a server, or name one"
    try:
        client = Redis.from_url(settings.redis_url, socket_connect_timeout=2, socket_timeout=2)
        client.ping()
    except (RedisError, OSError, ValueError) as error:
        return False, f"does not answer ({error}); start `screening up`, or correct SCREENING_REDIS_URL"
    policy = dict(client.info("memory")).get("maxmemory_policy")
    if policy != "noeviction":
        return False, f"its maxmemory-policy is {policy} and it may drop messages; set it to noeviction"
    return True, "answers"


def _storage(settings: Settings) -> tuple[bool, str]:
    from screening.storage import open_storage

    storage = open_storage(settings.resolved_storage_url)
    storage.ping()
    found = f"{settings.resolved_storage_url.partition('?')[0]} can be written and read"
    if storage.keeps_versions():
        found += (
            "; its bucket keeps older versions, so that what is removed or erased stays in it until a lifecycle rule "
            "of the bucket removes noncurrent versions"
        )
    return True, found


def _belonging(settings: Settings) -> tuple[bool, str]:
    from screening.storage import open_storage
    from screening.upkeep.ownership import check_own, short

    own = check_own(open_database(settings), open_storage(settings.resolved_storage_url))
    return True, f"database and storage are of one installation ({short(own)})"


def _checkpoint(settings: Settings) -> tuple[bool, str]:
    from screening import checkpoints
    from screening.storage import open_storage

    with open_database(settings).read() as session:
        active = checkpoints.active(session)
    # A copy of its own, because a worker's cached one says nothing of what the next worker will get.
    with TemporaryDirectory(prefix="screening-") as copy:
        checkpoints.fetch_bundle(open_storage(settings.resolved_storage_url), active.id, Path(copy))
    return True, f"{active.name} {active.form} ({active.id}) is active and intact in storage"


def _worker(settings: Settings, kind: str) -> tuple[bool, str]:
    from screening.database.server_clock import clock_of
    from screening.supervisor.refusals import refused_checkpoints
    from screening.workers import alive

    database = open_database(settings)
    now = clock_of(database)()
    with database.read() as session:
        names = [worker.name for worker in alive(session, now, kind)]
        refused = refused_checkpoints(session, now) if kind == "screen" else {}
    if not names:
        return False, f"no {kind} process has shown a sign of life; start it, and read its log"
    if refused:
        return False, "; ".join(f"checkpoint {key} is refused: {reason}" for key, reason in refused.items())
    return True, ", ".join(names)


def _space(settings: Settings) -> tuple[bool, str]:
    free = shutil.disk_usage(settings.data_dir).free
    text = f"{free / 1e9:.1f} GB in {settings.data_dir.resolve()}"
    return free > SCARCE_BYTES, text if free > SCARCE_BYTES else f"{text} is little; make room or move the data folder"


def _records(settings: Settings, depth: _Depth) -> Iterator[Finding]:
    """Rows against each other and, where that is asked for, against the objects in storage."""
    from screening.archives.references import WithReferences
    from screening.clock import utc_now
    from screening.storage import open_storage
    from screening.upkeep import consistency
    from screening.upkeep.objects import check_objects

    database = open_database(settings)

    def rows() -> Iterator[consistency.Finding]:
        yield from consistency.check_rows(
            database, utc_now(), settings.max_attempts, command_actor(), repair=depth.repair
        )

    def objects() -> Iterator[consistency.Finding]:
        storage = WithReferences(open_storage(settings.resolved_storage_url))
        yield from check_objects(
            database, storage, utc_now(), command_actor(), hashes=depth.hashes, repair=depth.repair
        )

    # Objects first: what they send back or set aside, the rows then have to agree with.
    for point, check in (("objects", objects), ("rows", rows)) if depth.objects else (("rows", rows),):
        wrong = False
        try:
            for finding in check():
                wrong = True
                yield Finding(point, False, finding.sentence, finding.mended)
        except Exception as error:
            # As with the other points: what stops the check is what the person needs to read.
            wrong = True
            yield Finding(point, False, (str(error).strip() or type(error).__name__).splitlines()[0])
        if not wrong:
            yield Finding(point, True, "agree with each other" if point == "rows" else "are all there, for all rows")
