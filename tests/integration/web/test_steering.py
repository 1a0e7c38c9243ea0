"""A run is steered while workers record: what stands in its way is waited for, and a deadlock is tried again."""

import threading

from sqlalchemy import select, text, update

from screening.database.states import Lane
from screening.database.tables import Rendition, Run
from tests.installation import phantom_png, wait_until
from tests.integration.web.conftest import Portal


def test_a_new_lane_that_ends_in_a_deadlock_is_tried_again(portal: Portal) -> None:
    """A deadlock is PostgreSQL's; SQLite has the second writer wait."""
    api = portal.api()
    run = api.open_run()
    api.receipts(run, ("a.png", phantom_png(1)))
    database, answers = portal.system.database, []

    def steer() -> None:
        path = f"/api/v1/runs/{run}"
        answers.append(api.client.patch(path, json={"lane": "urgent"}, headers=api.headers).status_code)

    def is_waited_for() -> bool:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with database.read() as session:
            return bool(session.scalar(text(waiting)))

    steering = threading.Thread(target=steer)
    with database.write() as session:
        session.execute(select(Rendition).with_for_update())
        if database.is_sqlite:
            session.execute(update(Rendition).values(attempts=0))
        steering.start()
        if not database.is_sqlite:
            # Of two that wait for each other the one that looks first gives way; this is not the one.
            session.execute(text("SET LOCAL deadlock_timeout = '1min'"))
            wait_until(is_waited_for, 10, "the steering waits for the rendition")
        session.execute(update(Run).values(name="recorded meanwhile"))
    steering.join(60)
    assert answers == [200]
    with database.read() as session:
        assert session.scalars(select(Rendition.lane)).one() == Lane.URGENT
