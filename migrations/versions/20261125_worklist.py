"""indexes of the worklist: what must be looked at, and parts of file names"""

import sqlalchemy as sa
from alembic import op

revision = '20261125_worklist'
down_revision = '20261125_reviews'
branch_labels = None
depends_on = None

MUST_LOOK = sa.text("state IN ('rejected', 'failed')")


def upgrade() -> None:
    for name, column in (('ix_jobs_must_look', 'id'), ('ix_jobs_must_look_scan', 'scan_id')):
        op.create_index(name, 'jobs', [column], postgresql_where=MUST_LOOK, sqlite_where=MUST_LOOK)
    if op.get_bind().dialect.name == 'postgresql' and _has_trigrams():
        op.create_index('ix_scans_file_name', 'scans', ['file_name'], postgresql_using='gin',
                        postgresql_ops={'file_name': 'gin_trgm_ops'})


def _has_trigrams() -> bool:
    """The extension comes with PostgreSQL, but some installations lack it or do not let us create it: then a search for
    a part of a file name reads the list from its top, which is slower and gives the same."""
    bind = op.get_bind()
    if bind.scalar(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")):
        return True
    allowed = bind.scalar(sa.text(
        "SELECT trusted AND has_database_privilege(current_database(), 'CREATE') OR usesuper "
        "FROM pg_available_extension_versions, pg_user WHERE name = 'pg_trgm' AND usename = current_user "
        "ORDER BY trusted DESC LIMIT 1"
    ))
    if allowed:
        op.execute('CREATE EXTENSION pg_trgm')
    return bool(allowed)


def downgrade() -> None:
    op.drop_index('ix_scans_file_name', 'scans', if_exists=True)
    op.drop_index('ix_jobs_must_look_scan', 'jobs')
    op.drop_index('ix_jobs_must_look', 'jobs')
