"""Sessions of the portal are rows that can be ended; events of the audit trail can be told once, and never changed."""

import sqlalchemy as sa
from alembic import op

revision = "20261130_sessions_and_audit"
down_revision = "20261130_originals_in_place"
branch_labels = None
depends_on = None

REFUSAL = "events of the audit trail are only ever added"


def upgrade() -> None:
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "portal_sessions",
        sa.Column("id", row_id, nullable=False),
        sa.Column("user_id", row_id, nullable=False),
        sa.Column("token_id", row_id, nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_portal_sessions_user_id_users")),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_portal_sessions_token_id_tokens")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_sessions")),
        sa.UniqueConstraint("digest", name=op.f("uq_portal_sessions_digest")),
    )
    op.create_index(op.f("ix_portal_sessions_user_id"), "portal_sessions", ["user_id"])
    op.add_column("audit_events", sa.Column("once", sa.String(length=64), nullable=True))
    op.create_index("uq_audit_events_once", "audit_events", ["once"], unique=True)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION refuse_change_of_audit_events() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_events_are_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit_events()"
        )
    else:
        for deed in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_events_no_{deed.lower()} BEFORE {deed} ON audit_events "
                f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
            )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_events_are_only_added ON audit_events")
        op.execute("DROP FUNCTION refuse_change_of_audit_events()")
    else:
        for deed in ("update", "delete"):
            op.execute(f"DROP TRIGGER audit_events_no_{deed}")
    op.drop_index("uq_audit_events_once", "audit_events")
    op.drop_column("audit_events", "once")
    op.drop_table("portal_sessions")
