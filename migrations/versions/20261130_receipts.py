"""The receipts of a run are read page by page without walking over those of other runs."""

from alembic import op

revision = "20261130_receipts"
down_revision = "20261130_nights"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_receipts_run", "receipts", ["run_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_receipts_run", "receipts")
