"""What a reversal may do: open an invoice that was late before, and take or give any credit."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "invoices",
        sa.Column("late_before", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    # Around a reversal the day's other payments are settled anew: credit may even grow.
    op.drop_constraint(op.f("ck_reversals_amount"), "reversals", type_="check")
    op.create_check_constraint(op.f("ck_reversals_amount"), "reversals", "amount_cents > 0")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_reversals_amount"), "reversals", type_="check")
    op.create_check_constraint(
        op.f("ck_reversals_amount"),
        "reversals",
        "amount_cents > 0 and credit_cents between 0 and amount_cents",
    )
    op.drop_column("invoices", "late_before")
