"""Recurring billing: what contracts are billed from, how far they are, what waits and is parked."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "contracts",
        sa.Column("speed_bonus_percent", sa.SmallInteger(), server_default="0", nullable=False),
    )
    op.create_check_constraint(
        op.f("ck_contracts_speed_bonus_percent"),
        "contracts",
        "speed_bonus_percent between 0 and 100",
    )
    op.create_table(
        "billing_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("invoices", sa.Integer(), server_default="0", nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("parked", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_billing_runs")),
    )
    op.create_table(
        "outages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.CheckConstraint("ended_at > started_at", name=op.f("ck_outages_span")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outages")),
    )
    op.create_table(
        "products",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("price_cents", sa.BigInteger(), nullable=False),
        sa.Column(
            "stays_while_walled", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.Column("withdrawn_on", sa.Date(), nullable=True),
        sa.CheckConstraint("price_cents >= 0", name=op.f("ck_products_price")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("code", name=op.f("uq_products_code")),
    )
    op.create_table(
        "plan_components",
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("basis_points", sa.Integer(), nullable=True),
        sa.Column("cents", sa.BigInteger(), nullable=True),
        sa.Column(
            "stays_while_walled", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
        sa.CheckConstraint("kind in ('scm', 'sva')", name=op.f("ck_plan_components_kind")),
        sa.CheckConstraint(
            "basis_points between 0 and 10000 and cents >= 0", name=op.f("ck_plan_components_part")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_plan_components_plan_id")),
        sa.PrimaryKeyConstraint("plan_id", "from_on", "position", name=op.f("pk_plan_components")),
    )
    op.create_table(
        "contract_billing",
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("mode", sa.Text(), server_default="arrears", nullable=False),
        sa.Column("started_on", sa.Date(), nullable=False),
        sa.Column("billed_until", sa.Date(), nullable=False),
        sa.Column("credited_until", sa.Date(), nullable=False),
        sa.Column("next_due_on", sa.Date(), nullable=True),
        sa.CheckConstraint("mode in ('arrears', 'advance')", name=op.f("ck_contract_billing_mode")),
        sa.CheckConstraint(
            "billed_until >= started_on", name=op.f("ck_contract_billing_billed_until")
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_contract_billing_contract_id")
        ),
        sa.PrimaryKeyConstraint("contract_id", name=op.f("pk_contract_billing")),
    )
    op.create_index(
        "ix_contract_billing_next_due_on",
        "contract_billing",
        ["next_due_on"],
        unique=False,
        postgresql_where=sa.text("next_due_on is not null"),
    )
    op.create_table(
        "contract_due_days",
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("day", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("day between 1 and 31", name=op.f("ck_contract_due_days_day")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_contract_due_days_contract_id")
        ),
        sa.PrimaryKeyConstraint("contract_id", "from_on", name=op.f("pk_contract_due_days")),
    )
    op.create_table(
        "contract_plans",
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_contract_plans_contract_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_contract_plans_plan_id")),
        sa.PrimaryKeyConstraint("contract_id", "from_on", name=op.f("pk_contract_plans")),
    )
    op.create_table(
        "contract_products",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("price_cents", sa.BigInteger(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=True),
        sa.CheckConstraint("price_cents >= 0", name=op.f("ck_contract_products_price")),
        sa.CheckConstraint("until_on >= from_on", name=op.f("ck_contract_products_span")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_contract_products_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_contract_products_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract_products")),
    )
    op.create_index(
        op.f("ix_contract_products_contract_id"), "contract_products", ["contract_id"], unique=False
    )
    op.create_table(
        "discounts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=True),
        sa.Column("plan_id", sa.BigInteger(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("basis_points", sa.Integer(), nullable=True),
        sa.Column("cents", sa.BigInteger(), nullable=True),
        sa.Column("conditional", sa.Boolean(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(basis_points, cents) = 1 and basis_points between 0 and 10000"
            " and cents > 0",
            name=op.f("ck_discounts_amount"),
        ),
        sa.CheckConstraint(
            "num_nonnulls(contract_id, plan_id) = 1", name=op.f("ck_discounts_whose")
        ),
        sa.CheckConstraint("until_on > from_on", name=op.f("ck_discounts_span")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_discounts_contract_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_discounts_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discounts")),
    )
    op.create_index(op.f("ix_discounts_contract_id"), "discounts", ["contract_id"], unique=False)
    op.create_index(op.f("ix_discounts_plan_id"), "discounts", ["plan_id"], unique=False)
    op.create_table(
        "minimum_terms",
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("penalty_cents", sa.BigInteger(), nullable=False),
        sa.Column("away_from_shop", sa.Boolean(), nullable=False),
        sa.CheckConstraint("penalty_cents >= 0", name=op.f("ck_minimum_terms_penalty")),
        sa.CheckConstraint(
            "until_on - from_on between 1 and 366", name=op.f("ck_minimum_terms_span")
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_minimum_terms_contract_id")
        ),
        sa.PrimaryKeyConstraint("contract_id", name=op.f("pk_minimum_terms")),
    )
    op.create_table(
        "contract_endings",
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("told_on", sa.Date(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "why in ('customer', 'provider_breach', 'moved')", name=op.f("ck_contract_endings_why")
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_contract_endings_contract_id")
        ),
        sa.PrimaryKeyConstraint("contract_id", name=op.f("pk_contract_endings")),
    )
    op.create_index(op.f("ix_contract_endings_ends_on"), "contract_endings", ["ends_on"])
    op.create_table(
        "billed_cycles",
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=True),
        sa.Column("billed_from", sa.Date(), nullable=False),
        sa.Column("billed_until", sa.Date(), nullable=False),
        sa.Column("credited_from", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_billed_cycles_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_billed_cycles_invoice_id")
        ),
        sa.PrimaryKeyConstraint("contract_id", "due_on", name=op.f("pk_billed_cycles")),
        sa.UniqueConstraint("invoice_id", name=op.f("uq_billed_cycles_invoice_id")),
    )
    op.create_table(
        "outage_contracts",
        sa.Column("outage_id", sa.BigInteger(), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_outage_contracts_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_outage_contracts_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["outage_id"], ["outages.id"], name=op.f("fk_outage_contracts_outage_id")
        ),
        sa.PrimaryKeyConstraint("outage_id", "contract_id", name=op.f("pk_outage_contracts")),
    )
    op.create_index(
        "ix_outage_contracts_contract_id",
        "outage_contracts",
        ["contract_id"],
        unique=False,
        postgresql_where=sa.text("invoice_id is null"),
    )
    op.create_table(
        "parked_invoices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("flaws", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="parked", nullable=False),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.Column("invoice_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state in ('parked', 'released', 'issued')", name=op.f("ck_parked_invoices_state")
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_parked_invoices_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_parked_invoices_invoice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parked_invoices")),
        sa.UniqueConstraint(
            "contract_id", "due_on", name=op.f("uq_parked_invoices_contract_id_due_on")
        ),
    )
    op.create_table(
        "waiting_lines",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), server_default="", nullable=False),
        sa.Column("from_on", sa.Date(), nullable=True),
        sa.Column("until_on", sa.Date(), nullable=True),
        sa.Column("due_from", sa.Date(), nullable=False),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("amount_cents <> 0", name=op.f("ck_waiting_lines_amount")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_waiting_lines_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_waiting_lines_invoice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiting_lines")),
    )
    op.create_index(
        "ix_waiting_lines_contract_id",
        "waiting_lines",
        ["contract_id"],
        unique=False,
        postgresql_where=sa.text("invoice_id is null"),
    )
    op.add_column("plans", sa.Column("withdrawn_on", sa.Date(), nullable=True))


_TABLES = (
    "waiting_lines",
    "parked_invoices",
    "outage_contracts",
    "billed_cycles",
    "contract_endings",
    "minimum_terms",
    "discounts",
    "contract_products",
    "contract_plans",
    "contract_due_days",
    "contract_billing",
    "plan_components",
    "products",
    "outages",
    "billing_runs",
)


def downgrade() -> None:
    op.drop_column("contracts", "speed_bonus_percent")
    op.drop_column("plans", "withdrawn_on")
    for table in _TABLES:
        op.drop_table(table)
