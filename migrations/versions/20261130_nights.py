"""nights: what a run was opened for, what was left out, what came of each firing"""

import sqlalchemy as sa
from alembic import op

revision = "20261130_nights"
down_revision = "20261130_erased"
branch_labels = None
depends_on = None

COUNTS = ("screened", "rejected", "failed")


def upgrade() -> None:
    # Only additions that may be NULL: processes of the release before go on writing rows until they are replaced.
    op.add_column("firings", sa.Column("plan", sa.JSON(), nullable=True))
    op.add_column("firings", sa.Column("remark", sa.Text(), nullable=True))
    for name in COUNTS:
        op.add_column("firings", sa.Column(name, sa.Integer(), nullable=True))


def downgrade() -> None:
    for name in (*COUNTS, "remark", "plan"):
        op.drop_column("firings", name)
