"""which installation a database is of"""

import sqlalchemy as sa
from alembic import op

revision = "20261130_installation"
down_revision = "20261130_sessions_and_audit"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("single", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.CheckConstraint("single = 1", name="ck_installation_one_row"),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_installation")),
    )


def downgrade() -> None:
    op.drop_table("installation")
