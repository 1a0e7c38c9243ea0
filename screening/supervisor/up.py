"""The command `screening up`: prepare the data folder, start everything, keep it alive, stop it in order."""

import contextlib
import shlex
import shutil
import sys
import time
from pathlib import Path

import click
from sqlalchemy.exc import SQLAlchemyError

from screening.clock import Clock
from screening.database.engine import Database
from screening.database.server_clock import clock_of
from screening.errors import Conflict
from screening.private_files import keep_private
from screening.settings import Settings
from screening.storage import open_storage
from screening.supervisor.folder import DataFolder
from screening.supervisor.installation import ACTOR, OPERATOR, install
from screening.supervisor.links import portal_address, sign_in_link
from screening.supervisor.orphans import stop_orphans
from screening.supervisor.processes import Keeper, Supervisor
from screening.supervisor.programs import portal_and_workers, process_environment, resolved_environment
from screening.supervisor.readiness import check_port_is_free, why_not_ready
from screening.supervisor.refusals import refused_checkpoints
from screening.supervisor.signals import Signals
from screening.supervisor.valkey import EmbeddedValkey, embed_valkey

PATIENCE_S = 60.0
"""After this long without being ready the user is told why, once; starting goes on."""
WATCH_EVERY_S = 5.0


def up(settings: Settings) -> None:
    """Run an installation until SIGINT, SIGTERM or SIGHUP. Raises UpError where it cannot start.

    Errors of what it prepares are raised too: MigrationError, StorageError, BundleError, Refused.
    """
    folder = DataFolder(settings.data_dir)
    keep_private()
    folder.create()
    with Signals() as signals, folder.lock():
        stop_orphans(folder.path)
        check_port_is_free(settings.host, settings.port)
        secret_key = settings.secret_key.get_secret_value() or folder.secret_key()
        database = Database(settings.resolved_database_url)
        clock = clock_of(database)
        try:
            _say("Preparing the database and the checkpoint ...")
            for warning in install(settings, folder, database, open_storage(settings.resolved_storage_url), clock):
                _say(warning)
            if signals.stop_wanted:
                return
            valkey = None if settings.redis_url else embed_valkey(folder)
            redis_url = valkey.url if valkey else settings.redis_url
            resolved = resolved_environment(settings, folder, redis_url, secret_key)
            folder.keep_environment(resolved)
            supervisor = Supervisor(
                programs=([valkey.program] if valkey else []) + portal_and_workers(),
                environment=process_environment(resolved, folder),
                folder=folder.run,
                logs=folder.logs,
                on_trouble=_tell_of_trouble,
            )
            try:
                _start(supervisor, valkey)
                _wait_until_ready(supervisor, signals, settings)
                if not signals.stop_wanted:
                    _welcome(settings, folder, database, clock)
                _watch(supervisor, signals, database, clock)
            finally:
                _say("Stopping ...")
                supervisor.stop()
                _say("Stopped. `screening up` goes on where it stopped.")
        finally:
            database.dispose()


def _start(supervisor: Supervisor, valkey: EmbeddedValkey | None) -> None:
    supervisor.start()
    if valkey:
        keeper = next(keeper for keeper in supervisor.keepers if keeper.program is valkey.program)
        valkey.wait_until_up(keeper)


def _wait_until_ready(supervisor: Supervisor, signals: Signals, settings: Settings) -> None:
    began = time.monotonic()
    told = False
    while not signals.stop_wanted:
        supervisor.look_after()
        trouble = why_not_ready(settings.host, settings.port)
        if trouble is None:
            return
        if not told and time.monotonic() - began > PATIENCE_S:
            told = True
            _say(f"Not ready after {PATIENCE_S:.0f} seconds: {trouble}. Still trying; the logs tell more.")
        signals.wait(0.25)


def _watch(supervisor: Supervisor, signals: Signals, database: Database, clock: Clock) -> None:
    """Look after all processes until a signal asks to stop, and tell of each refused checkpoint once."""
    told: set[str] = set()
    while not signals.stop_wanted:
        pause = supervisor.look_after()
        # An answer that does not come costs nothing here: it is asked for again.
        with contextlib.suppress(SQLAlchemyError), database.read() as session:
            for checkpoint, reason in refused_checkpoints(session, clock()).items():
                if checkpoint not in told:
                    told.add(checkpoint)
                    _say(f"The screen worker refuses the checkpoint {checkpoint}, so nothing is screened: {reason}.")
        signals.wait(min(pause, WATCH_EVERY_S))


def _welcome(settings: Settings, folder: DataFolder, database: Database, clock: Clock) -> None:
    try:
        link = sign_in_link(settings, database, clock, OPERATOR, ACTOR)
        hint = f"The link signs you in once, within 12 hours; `{_sign_in_command(folder)}` makes another."
    except Conflict:
        link = portal_address(settings)
        hint = f"The user {OPERATOR} is disabled; `{_sign_in_command(folder)} --user NAME` makes a link for another."
    click.echo(
        f"\nFracture screening is ready:\n\n  {link}\n\n{hint}\n"
        f"  Data       {_shown(folder.path)}\n"
        f"  API token  {_shown(folder.token_file)}\n"
        f"  Logs       {_shown(folder.logs)}\n"
        "Ctrl-C stops everything; what is not finished goes on at the next start.\n"
    )


def _sign_in_command(folder: DataFolder) -> str:
    """The command that makes another link, as it can be called where `up` was called."""
    program = sys.argv[0]
    found = shutil.which(Path(program).name)
    on_path = found is not None and Path(program).exists() and Path(found).samefile(program)
    words = [Path(program).name if on_path else program, "sign-in-link"]
    if folder.path != Path("data").resolve():
        words += ["--data", _shown(folder.path)]
    return shlex.join(words)


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "replace").decode()


def _tell_of_trouble(keeper: Keeper) -> None:
    lines = "\n".join(f"  {line}" for line in keeper.log.last_lines())
    _say(
        f"The process `{keeper.program.name}` ended {keeper.failures} times soon after its start. "
        f"It is tried again, at longer intervals. The end of {keeper.log.path}:\n{lines}"
    )


def _say(text: str) -> None:
    """Tell whoever watches. A terminal that was closed takes no text, and what runs must be stopped all the same."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)
