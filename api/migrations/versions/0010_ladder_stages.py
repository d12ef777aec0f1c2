"""Stages beyond the line, ends for debt, and policies that rule from a day on."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_WHY = "ck_contract_endings_why"


def upgrade() -> None:
    op.add_column("policies", sa.Column("valid_from", sa.Date(), nullable=True))
    op.add_column(
        "policies", sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)
    )
    op.create_unique_constraint(op.f("uq_policies_id"), "policies", ["id"])
    op.drop_constraint(op.f(_WHY), "contract_endings", type_="check")
    op.create_check_constraint(
        op.f(_WHY), "contract_endings", "why in ('customer', 'provider_breach', 'moved', 'debt')"
    )
    op.create_table(
        "contract_stages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("invoice_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("amounts_cents", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("counted_cents", sa.BigInteger(), nullable=False),
        sa.Column("notice_id", sa.BigInteger(), nullable=True),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("situation", postgresql.JSONB(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "stage in ('rescind', 'bureau', 'agency')", name=op.f("ck_contract_stages_stage")
        ),
        sa.CheckConstraint(
            "(left_at is null) = (left_reason is null)", name=op.f("ck_contract_stages_left")
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_contract_stages_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notices.id"], name=op.f("fk_contract_stages_notice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract_stages")),
    )
    left = sa.text("left_at is null")
    op.create_index(
        "uq_contract_stages_open",
        "contract_stages",
        ["contract_id", "stage"],
        unique=True,
        postgresql_where=left,
    )
    op.create_index(
        "ix_contract_stages_open", "contract_stages", ["stage", "id"], postgresql_where=left
    )


def downgrade() -> None:
    op.drop_table("contract_stages")
    op.execute("delete from contract_endings where why = 'debt'")
    op.drop_constraint(op.f(_WHY), "contract_endings", type_="check")
    op.create_check_constraint(
        op.f(_WHY), "contract_endings", "why in ('customer', 'provider_breach', 'moved')"
    )
    op.drop_constraint(op.f("uq_policies_id"), "policies", type_="unique")
    op.drop_column("policies", "id")
    op.drop_column("policies", "valid_from")
