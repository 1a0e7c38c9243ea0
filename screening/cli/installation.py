"""Options and errors of the commands that run on the server's machine."""

import errno
import functools
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from screening.settings import Settings, load_settings

if TYPE_CHECKING:
    from screening.database.engine import Database

P = ParamSpec("P")
R = TypeVar("R")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_PLACES = ("SCREENING_DATABASE_URL", "SCREENING_STORAGE_URL")

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The data folder of a `screening up` on this machine, whose settings are used. [default: ./data]",
)


def settings_beside(data: Path | None) -> Settings:
    """The settings of the environment, completed by what `screening up` noted in its data folder.

    Where no folder is named and the environment has another database or storage, nothing of `./data` counts: one
    installation must not be cleaned up by the rules of another.

    Raises SettingsError, or click.UsageError for a folder in which nothing is noted.
    """
    from screening.supervisor.folder import DataFolder

    folder = DataFolder(data or Path(os.environ.get("SCREENING_DATA_DIR", "data")))
    noted = folder.kept_environment()
    if data is not None and not noted:
        raise click.UsageError(f"No `screening up` has used the folder {folder.path} yet. Name another with --data.")
    if data is not None or not any(_given_otherwise(name, noted) for name in _PLACES):
        for name, value in noted.items():
            os.environ.setdefault(name, value)
    return load_settings()


def open_database(settings: Settings) -> "Database":
    """The database that the settings name. Its connections are closed when the command ends."""
    from screening.database.engine import Database

    database = Database(settings.resolved_database_url)
    context = click.get_current_context(silent=True)
    if context is not None:
        context.call_on_close(database.dispose)
    return database


def _given_otherwise(name: str, noted: dict[str, str]) -> bool:
    given = os.environ.get(name)
    return bool(given) and given != noted.get(name)


def command_actor() -> str:
    """Who is in the audit trail for what a command does: the user of the operating system who called it."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"user {os.getuid()}"
    return f"command of {name}"


def explained(command: Callable[P, R]) -> Callable[P, R]:
    """Turn errors that are meant for people into one message and exit code 1."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except click.ClickException:
            raise
        except Exception as error:
            message = _for_people(error)
            if message is None:
                raise
            raise click.ClickException(message) from error

    return run


def _for_people(error: Exception) -> str | None:
    """What to tell of this error; None for one that nobody expects."""
    # Imported here, because most commands need few of these and none should wait for them.
    from sqlalchemy.exc import SQLAlchemyError

    from screening.database.migrate import MigrationError
    from screening.errors import Refused
    from screening.inference.bundle import BundleError
    from screening.inference.engine import EngineError
    from screening.settings import SettingsError
    from screening.storage import StorageError
    from screening.supervisor.errors import UpError

    if isinstance(error, (SettingsError, Refused, BundleError, EngineError, StorageError, UpError, MigrationError)):
        text = str(error)
        return text[:1].upper() + text[1:] if text[:1].islower() else text
    if isinstance(error, SQLAlchemyError):
        first = str(error).strip().splitlines()[0]
        return f"The database does not do what it should ({first}). `screening doctor` says more."
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        where = f" at {error.filename}" if error.filename else ""
        return f"There is no room left{where} ({error.strerror}). Make room, or name a place on another disk."
    if isinstance(error, OSError) and error.filename:
        return (
            f"{error.filename} cannot be used ({error.strerror}). Check that it is there and that this user may read "
            "and write it, or name another place."
        )
    return None
