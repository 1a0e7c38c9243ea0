"""A review of a sampled scan keeps at which rate the sample was drawn."""

import sqlalchemy as sa
from alembic import op

revision = "20261130_review_sample_rate"
down_revision = "20261130_rejected_receipts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reviews", sa.Column("sample_rate", sa.Float(precision=53), nullable=True))


def downgrade() -> None:
    op.drop_column("reviews", "sample_rate")
