"""What accounting remembers, so that records in any order end in the same sessions and usage."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("stopped_by", sa.Text()))
    op.add_column("sessions", sa.Column("meter", postgresql.ARRAY(sa.BigInteger())))
    op.create_check_constraint(
        op.f("ck_sessions_stopped_by"),
        "sessions",
        "stopped_by is null or stopped_by in ('stop', 'restart') and stopped_at is not null",
    )
    op.create_index(
        "ix_sessions_restarted",
        "sessions",
        ["nas_id"],
        postgresql_where=sa.text("stopped_by = 'restart'"),
    )
    # Interims rewrite rows in place where a page has room.
    op.execute("alter table sessions set (fillfactor = 80)")
    op.create_table(
        "nas_restarts",
        sa.Column("nas_id", sa.BigInteger(), nullable=False),
        sa.Column("nas_address", postgresql.INET(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["nas_id"], ["nases.id"], name=op.f("fk_nas_restarts_nas_id")),
        sa.PrimaryKeyConstraint("nas_id", "nas_address", "at", name=op.f("pk_nas_restarts")),
    )
    op.create_table(
        "shippers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("shipped_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("interim_s", sa.Integer(), nullable=False),
        sa.Column("seen_wall", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_shippers")),
    )
    op.add_column(
        "network_actions",
        sa.Column("reason", sa.Text(), server_default="access", nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_network_actions_reason"), "network_actions", "reason in ('access', 'surplus')"
    )


def downgrade() -> None:
    op.drop_column("network_actions", "reason")
    op.drop_table("shippers")
    op.drop_table("nas_restarts")
    op.execute("alter table sessions reset (fillfactor)")
    op.drop_index("ix_sessions_restarted", "sessions")
    op.drop_column("sessions", "meter")
    op.drop_column("sessions", "stopped_by")
