"""likely_threshold"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = '20261124_likely_threshold'
down_revision = '20261123_initial'
branch_labels = None
depends_on = None

LIKELY_WITHOUT_CARD = 0.5
changes = sa.table(
    "operating_point_changes",
    sa.column("id", sa.BigInteger),
    sa.column("checkpoint_id", sa.String),
    sa.column("threshold", sa.Float(53)),
    sa.column("likely_threshold", sa.Float(53)),
)
checkpoints = sa.table(
    "checkpoints", sa.column("id", sa.String), sa.column("form", sa.String), sa.column("card", sa.JSON)
)


def upgrade() -> None:
    # The default serves processes of the release before, which go on writing rows until they are replaced: over a
    # threshold of 1 nothing is called likely, and what is flagged stays flagged.
    with op.batch_alter_table("operating_point_changes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("likely_threshold", sa.Float(precision=53), server_default="1", nullable=False))
    connection = op.get_bind()
    cards = {row.id: (row.form, row.card) for row in connection.execute(sa.select(checkpoints))}
    for row in connection.execute(sa.select(changes.c.id, changes.c.checkpoint_id, changes.c.threshold)).all():
        likely = max(row.threshold, _likely_of_card(*cards[row.checkpoint_id]))
        connection.execute(sa.update(changes).where(changes.c.id == row.id).values(likely_threshold=likely))


def downgrade() -> None:
    with op.batch_alter_table("operating_point_changes", schema=None) as batch_op:
        batch_op.drop_column("likely_threshold")


def _likely_of_card(form: str, card: dict[str, Any]) -> float:
    """Cards of format 1 have no likely threshold."""
    likely = card.get("forms", {}).get(form, {}).get("likely", {})
    return float(likely.get("threshold", LIKELY_WITHOUT_CARD))
