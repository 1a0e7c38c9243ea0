"""Originals that stay in their archive are told from those in storage; containers are found by their bytes."""

import sqlalchemy as sa
from alembic import op

revision = "20261130_originals_in_place"
down_revision = "20261125_original_removed"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("scans", sa.Column("original_in_place", sa.Boolean(), server_default=sa.false(), nullable=False))
    # Scans that came in place and in no other way. What was vouched for by its hash alone counts as sent.
    op.execute(
        """
        UPDATE scans SET original_in_place = true WHERE id IN (
            SELECT r.scan_id FROM receipts r JOIN runs u ON u.id = r.run_id
            JOIN archives a ON u.created_by = 'archive ' || CAST(a.id AS TEXT)
            WHERE a.in_place AND r.container_id IS NULL AND r.scan_id IS NOT NULL
            EXCEPT
            SELECT r.scan_id FROM receipts r JOIN runs u ON u.id = r.run_id
            LEFT JOIN archives a ON u.created_by = 'archive ' || CAST(a.id AS TEXT)
            WHERE (a.id IS NULL OR NOT a.in_place OR r.container_id IS NOT NULL) AND r.scan_id IS NOT NULL
        )
        """
    )
    op.create_index("ix_scans_kept", "scans", ["original_in_place", "original_removed_at", "size_bytes"])
    op.create_index(op.f("ix_containers_sha256"), "containers", ["sha256"])


def downgrade() -> None:
    op.drop_index(op.f("ix_containers_sha256"), "containers")
    op.drop_index("ix_scans_kept", "scans")
    op.drop_column("scans", "original_in_place")
