"""scans that were erased: when"""

import sqlalchemy as sa
from alembic import op

revision = "20261130_erased"
down_revision = "20261130_installation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("scans", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("scans", "erased_at")
