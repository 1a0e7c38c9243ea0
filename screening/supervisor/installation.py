"""What an installation needs before its first process starts: schema, operator, token, checkpoints."""

from collections.abc import Sequence
from pathlib import Path

from screening import accounts, checkpoints
from screening.clock import Clock
from screening.database.engine import Database
from screening.database.migrate import upgrade
from screening.errors import Conflict
from screening.inference.bundle import CARD, BundleError, read_bundle
from screening.settings import Settings
from screening.storage import Storage
from screening.supervisor.errors import UpError
from screening.supervisor.folder import DataFolder, write_private
from screening.upkeep.ownership import settle_own

OPERATOR = "operator"
TOKEN_NAME = "operator.token"  # noqa: S105  the name of a file
ACTOR = "screening up"


def install(settings: Settings, folder: DataFolder, database: Database, storage: Storage, clock: Clock) -> list[str]:
    """Bring everything to a state in which the processes can start. Returns warnings; changes nothing twice.

    Raises UpError, MigrationError, StorageError or Refused, which the storage of another installation is.
    """
    upgrade(settings.resolved_database_url)
    settle_own(database, storage)
    _ensure_operator(folder, database, clock)
    warnings = _register_released(settings, database, storage, clock)
    with database.read() as session:
        try:
            checkpoints.active(session)
        except Conflict:
            raise UpError("\n".join([*warnings, _no_checkpoint(settings.checkpoint_dir)])) from None
    return warnings


def _ensure_operator(folder: DataFolder, database: Database, clock: Clock) -> None:
    now = clock()
    with database.write() as session:
        operator = accounts.find_user(session, OPERATOR)
        if operator is None:
            if accounts.has_account(session, OPERATOR):
                # An administrator has disabled them: that stays so.
                return
            operator = accounts.add_user(session, now, OPERATOR, "administrator", None, ACTOR)
        if folder.token_file.exists():
            holder = accounts.identify_token(session, now, folder.token_file.read_text("utf-8").strip())
            if holder is not None:
                return
        # A token whose file is lost may be in wrong hands.
        for token in accounts.tokens_of(session, operator):
            if token.name == TOKEN_NAME and token.revoked_at is None:
                accounts.revoke_token(session, now, operator, token.id, ACTOR)
        # Without an end: programs on this machine read it from its file for as long as the installation runs.
        secret = accounts.issue_token(session, now, operator, TOKEN_NAME, ACTOR, lifetime=None)
        write_private(folder.token_file, f"{secret}\n")


def _register_released(settings: Settings, database: Database, storage: Storage, clock: Clock) -> list[str]:
    warnings = []
    for bundle_folder in released_bundles(settings.checkpoint_dir):
        try:
            bundle = read_bundle(bundle_folder)
        except BundleError as error:
            warnings.append(f"A checkpoint was left out: {error}")
            continue
        form = bundle.default_form if settings.form == "auto" else settings.form
        checkpoints.register(database, storage, clock(), bundle, form, ACTOR)
    return warnings


def released_bundles(checkpoint_dir: Path) -> Sequence[Path]:
    """The folders with a card, by name."""
    return sorted(card.parent for card in checkpoint_dir.glob(f"*/{CARD}"))


def _no_checkpoint(checkpoint_dir: Path) -> str:
    return (
        f"There is no checkpoint to screen with: no folder in {checkpoint_dir.resolve()} holds a usable {CARD}. "
        "Put a checkpoint bundle there, or name its parent folder in SCREENING_CHECKPOINT_DIR."
    )
