"""What only former checkpoints have screened, as pages tell it, and the run that screens it."""

from sqlalchemy.orm import Session

from screening.activation import LeftBehind, scans_left_behind, screen_the_rest, with_live_runs
from screening.database.tables import Checkpoint
from screening.database.transactions import committed
from screening.queue import QueueName
from screening.rescreening.opening import Opened
from web import current
from web.watching import LISTS_KEPT_TIMES, kept_count


def latest_left_behind(session: Session, checkpoint: Checkpoint) -> LeftBehind:
    """Runs are those of this moment. Scans are counted anew after each activation, and else kept twenty times as long
    as counting took."""
    name = f"left-behind-{checkpoint.id}-{checkpoint.activated_at}"
    checkpoint_id = checkpoint.id
    counted = kept_count(
        name, lambda counting, _now: scans_left_behind(counting, checkpoint_id), LISTS_KEPT_TIMES
    ).get()
    return with_live_runs(session, counted)


def open_for_the_rest() -> Opened:
    """By whoever asks. Raises Conflict."""
    system, actor = current.system(), current.identity().name
    opened = committed(system.database, lambda session: screen_the_rest(session, system.clock(), actor))
    system.waker.wake(QueueName.PREPARE, QueueName.SCREEN)
    return opened
