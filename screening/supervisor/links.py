"""One-time sign-in links to the portal."""

from screening import accounts
from screening.clock import Clock
from screening.database.engine import Database
from screening.errors import NotFound
from screening.settings import Settings
from screening.supervisor.readiness import local_host

SIGN_IN_PATH = "/sign-in/"


def sign_in_link(settings: Settings, database: Database, clock: Clock, user_name: str) -> str:
    """A fresh link to the portal of these settings, as it is reached from this machine. Raises NotFound."""
    with database.write() as session:
        user = accounts.find_user(session, user_name)
        if user is None:
            raise NotFound(
                "unknown_user", f"There is no user {user_name}. Add one with `screening user add {user_name}`."
            )
        secret = accounts.issue_sign_in_link(session, clock(), user)
    return f"http://{local_host(settings.host)}:{settings.port}{SIGN_IN_PATH}{secret}"
