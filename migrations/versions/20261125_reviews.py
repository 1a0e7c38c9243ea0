"""reviews and holds"""

import sqlalchemy as sa
from alembic import op

revision = '20261125_reviews'
down_revision = '20261124_schedules'
branch_labels = None
depends_on = None

IN_FORCE = sa.text('withdrawn_at IS NULL')
ROW = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table('reviews',
    sa.Column('id', ROW, nullable=False),
    sa.Column('scan_id', sa.String(length=32), nullable=False),
    sa.Column('reader', sa.String(length=100), nullable=False),
    sa.Column('verdict', sa.String(length=16), nullable=False),
    sa.Column('comment', sa.Text(), nullable=True),
    sa.Column('checkpoint_id', sa.String(length=16), nullable=True),
    sa.Column('probability', sa.Float(precision=53), nullable=True),
    sa.Column('threshold', sa.Float(precision=53), nullable=True),
    sa.Column('sampled', sa.Boolean(), nullable=False),
    sa.Column('reviewed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('withdrawn_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['scan_id'], ['scans.id'], name=op.f('fk_reviews_scan_id_scans')),
    sa.ForeignKeyConstraint(['checkpoint_id'], ['checkpoints.id'], name=op.f('fk_reviews_checkpoint_id_checkpoints')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_reviews'))
    )
    op.create_index('ix_reviews_scan', 'reviews', ['scan_id', 'id'], postgresql_where=IN_FORCE, sqlite_where=IN_FORCE)
    op.create_index('ix_reviews_reader', 'reviews', ['reader', 'id'])

    op.create_table('holds',
    sa.Column('scan_id', sa.String(length=32), nullable=False),
    sa.Column('reader', sa.String(length=100), nullable=False),
    sa.Column('held_since', sa.DateTime(timezone=True), nullable=False),
    sa.Column('held_until', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['scan_id'], ['scans.id'], name=op.f('fk_holds_scan_id_scans')),
    sa.PrimaryKeyConstraint('scan_id', name=op.f('pk_holds'))
    )


def downgrade() -> None:
    op.drop_table('holds')
    op.drop_table('reviews')
