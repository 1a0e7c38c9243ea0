"""schedules"""

import sqlalchemy as sa
from alembic import op

revision = '20261124_schedules'
down_revision = '20261124_likely_threshold'
branch_labels = None
depends_on = None

WAITING = "state = 'waiting'"
ROW = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    # Only additions: processes of the release before go on writing rows until they are replaced.
    # Not in a batch: on SQLite that would copy the tables, and drop those that other tables refer to.
    op.add_column('checkpoints', sa.Column('candidate', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index('uq_checkpoints_candidate', 'checkpoints', ['candidate'], unique=True, postgresql_where=sa.text('candidate'), sqlite_where=sa.text('candidate'))
    op.add_column('runs', sa.Column('paused_by', sa.String(length=100), nullable=True))
    op.add_column('runs', sa.Column('remark', sa.Text(), nullable=True))
    # A re-screening may wait for a million renditions: their order must come from the index alone.
    op.drop_index('ix_renditions_claim', 'renditions', postgresql_where=sa.text(WAITING), sqlite_where=sa.text(WAITING))
    op.create_index('ix_renditions_claim', 'renditions', ['lane', 'attempts', 'queued_at'], postgresql_where=sa.text(WAITING), sqlite_where=sa.text(WAITING))

    op.create_table('schedules',
    sa.Column('id', ROW, nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('cron', sa.String(length=100), nullable=False),
    sa.Column('time_zone', sa.String(length=64), nullable=False),
    sa.Column('window_end', sa.String(length=5), nullable=False),
    sa.Column('checkpoint_id', sa.String(length=16), nullable=True),
    sa.Column('selection', sa.JSON(), nullable=False),
    sa.Column('most_scans', sa.Integer(), nullable=True),
    sa.Column('paused', sa.Boolean(), nullable=False),
    sa.Column('counts_from', sa.DateTime(timezone=True), nullable=False),
    sa.Column('created_by', sa.String(length=100), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['checkpoint_id'], ['checkpoints.id'], name=op.f('fk_schedules_checkpoint_id_checkpoints')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_schedules'))
    )
    op.create_table('firings',
    sa.Column('id', ROW, nullable=False),
    sa.Column('schedule_id', ROW, nullable=False),
    sa.Column('scheduled_for', sa.DateTime(timezone=True), nullable=False),
    sa.Column('window_until', sa.DateTime(timezone=True), nullable=False),
    sa.Column('fired_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('asked_by', sa.String(length=100), nullable=True),
    sa.Column('late', sa.Boolean(), nullable=False),
    sa.Column('run_id', ROW, nullable=True),
    sa.Column('jobs', sa.Integer(), nullable=True),
    sa.Column('renditions', sa.Integer(), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('note', sa.String(length=40), nullable=True),
    sa.ForeignKeyConstraint(['run_id'], ['runs.id'], name=op.f('fk_firings_run_id_runs')),
    sa.ForeignKeyConstraint(['schedule_id'], ['schedules.id'], name=op.f('fk_firings_schedule_id_schedules')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_firings')),
    sa.UniqueConstraint('schedule_id', 'scheduled_for', name=op.f('uq_firings_schedule_id_scheduled_for'))
    )
    op.create_index(op.f('ix_firings_run_id'), 'firings', ['run_id'], unique=False)
    op.create_index('ix_firings_open', 'firings', ['window_until'], unique=False, postgresql_where=sa.text('ended_at IS NULL'), sqlite_where=sa.text('ended_at IS NULL'))
    op.create_table('archives',
    sa.Column('id', ROW, nullable=False),
    sa.Column('url', sa.Text(), nullable=False),
    sa.Column('in_place', sa.Boolean(), nullable=False),
    sa.Column('cron', sa.String(length=100), nullable=False),
    sa.Column('time_zone', sa.String(length=64), nullable=False),
    sa.Column('visit_wanted', sa.Boolean(), nullable=False),
    sa.Column('visited_for', sa.DateTime(timezone=True), nullable=False),
    sa.Column('visited_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('found', sa.BigInteger(), nullable=False),
    sa.Column('admitted', sa.BigInteger(), nullable=False),
    sa.Column('refused', sa.BigInteger(), nullable=False),
    sa.Column('problem', sa.Text(), nullable=True),
    sa.Column('lease_token', sa.String(length=32), nullable=True),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_by', sa.String(length=100), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('removed_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_archives'))
    )
    op.create_table('archive_files',
    sa.Column('id', ROW, nullable=False),
    sa.Column('archive_id', ROW, nullable=False),
    sa.Column('path', sa.Text(), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=False),
    sa.Column('modified', sa.String(length=80), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=True),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['archive_id'], ['archives.id'], name=op.f('fk_archive_files_archive_id_archives')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_archive_files')),
    sa.UniqueConstraint('archive_id', 'path', name=op.f('uq_archive_files_archive_id_path'))
    )


def downgrade() -> None:
    op.drop_table('archive_files')
    op.drop_table('archives')
    op.drop_table('firings')
    op.drop_table('schedules')
    op.drop_index('ix_renditions_claim', 'renditions', postgresql_where=sa.text(WAITING), sqlite_where=sa.text(WAITING))
    op.create_index('ix_renditions_claim', 'renditions', ['lane', 'queued_at'], postgresql_where=sa.text(WAITING), sqlite_where=sa.text(WAITING))
    op.drop_column('runs', 'remark')
    op.drop_column('runs', 'paused_by')
    op.drop_index('uq_checkpoints_candidate', 'checkpoints')
    op.drop_column('checkpoints', 'candidate')
