"""One-time sign-in links to the portal."""

from screening import accounts
from screening.clock import Clock
from screening.database.engine import Database
from screening.settings import Settings
from screening.supervisor.readiness import local_host

SIGN_IN_PATH = "/sign-in/"


def sign_in_link(settings: Settings, database: Database, clock: Clock, user_name: str, actor: str) -> str:
    """A fresh link to the portal of these settings, as it is reached from this machine. Raises NotFound."""
    with database.write() as session:
        user = accounts.enabled_user(session, user_name)
        secret = accounts.issue_sign_in_link(session, clock(), user, actor)
    return f"{portal_address(settings)}{SIGN_IN_PATH}{secret}"


def portal_address(settings: Settings) -> str:
    """Where the portal is reached from this machine."""
    return f"http://{local_host(settings.host)}:{settings.port}"
