"""A scan may outlive its original: when that was removed."""

import sqlalchemy as sa
from alembic import op

revision = "20261125_original_removed"
down_revision = "20261125_worklist"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("scans", sa.Column("original_removed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("scans", "original_removed_at")
