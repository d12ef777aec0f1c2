"""Bounds and canaries of plans, and what recomputing the books found."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_CHECKS = {
    "cuts_max_by": "cuts_max_by in ('share', 'usual', 'floor')",
    "canary": "canary in ('waiting', 'passed', 'stopped')",
    "canary_until": "(canary is null) = (canary_until is null)",
}
_COLUMNS = ("cuts_max_by", "crowded", "canary", "canary_until", "rest_of", "signs")


def upgrade() -> None:
    for column in (
        sa.Column("cuts_max_by", sa.Text()),
        sa.Column("crowded", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("canary", sa.Text()),
        sa.Column("canary_until", sa.DateTime(timezone=True)),
        sa.Column("rest_of", sa.BigInteger()),
        sa.Column("signs", postgresql.JSONB(), server_default="[]", nullable=False),
    ):
        op.add_column("review_plans", column)
    for name, condition in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_review_plans_{name}"), "review_plans", condition)
    op.create_foreign_key(
        op.f("fk_review_plans_rest_of"), "review_plans", "review_plans", ["rest_of"], ["id"]
    )
    op.create_table(
        "book_checks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "at_wall", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("differences", sa.Integer(), nullable=False),
        sa.Column("told", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.CheckConstraint("differences >= cardinality(told)", name=op.f("ck_book_checks_told")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_book_checks")),
    )
    op.execute(
        "create trigger append_only before update or delete or truncate on book_checks"
        " for each statement execute function religa_refuse()"
    )


def downgrade() -> None:
    op.drop_table("book_checks")
    for column in _COLUMNS:
        op.drop_column("review_plans", column)
