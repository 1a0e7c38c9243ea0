"""The files of a run that were rejected are found and counted without reading all of its receipts."""

import sqlalchemy as sa
from alembic import op

revision = "20261130_rejected_receipts"
down_revision = "20261130_receipts"
branch_labels = None
depends_on = None

REJECTED = sa.text("status = 'rejected'")


def upgrade() -> None:
    op.create_index(
        "ix_receipts_rejected",
        "receipts",
        ["run_id", "id"],
        postgresql_where=REJECTED,
        sqlite_where=REJECTED,
    )


def downgrade() -> None:
    op.drop_index("ix_receipts_rejected", "receipts")
