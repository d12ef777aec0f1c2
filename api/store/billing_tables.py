"""The tables of recurring billing: from what a contract is billed, and what was.

Spans of local days are from `from_on` until before `until_on`. A contract without rows of its own
is billed by its plan and due day.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from api.store.columns import metadata, own_id, reference

_SHARE = "basis_points between 0 and 10000"


# Value-added services that are sold on their own (money rule 9).
products = Table(
    "products",
    metadata,
    own_id(),
    Column("code", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("price_cents", BigInteger, nullable=False),
    # Usable while access is walled, so that its suspended days are charged (rule 8).
    Column("stays_while_walled", Boolean, nullable=False, server_default=false()),
    Column("withdrawn_on", Date),
    CheckConstraint("price_cents >= 0", name="price"),
)

# What a plan's price is made of, from a day on; the last takes the residue.
plan_components = Table(
    "plan_components",
    metadata,
    Column("plan_id", BigInteger, ForeignKey("plans.id"), primary_key=True),
    Column("from_on", Date, primary_key=True),
    Column("position", SmallInteger, primary_key=True),
    Column("service", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("basis_points", Integer),
    Column("cents", BigInteger),
    Column("stays_while_walled", Boolean, nullable=False, server_default=false()),
    CheckConstraint("kind in ('scm', 'sva')", name="kind"),
    CheckConstraint(f"{_SHARE} and cents >= 0", name="part"),
)

# How far a contract is billed. Made by the first run that meets the contract, or by whoever asks.
contract_billing = Table(
    "contract_billing",
    metadata,
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), primary_key=True),
    Column("mode", Text, nullable=False, server_default="arrears"),
    Column("started_on", Date, nullable=False),
    Column("billed_until", Date, nullable=False),
    Column("credited_until", Date, nullable=False),
    # The due date of the next invoice; null: the contract ended, or is billed by hand.
    Column("next_due_on", Date),
    # Whoever pays automatically is not reminded.
    Column("automatic_payment", Boolean, nullable=False, server_default=false()),
    CheckConstraint("mode in ('arrears', 'advance')", name="mode"),
    CheckConstraint("billed_until >= started_on", name="billed_until"),
    Index(
        "ix_contract_billing_next_due_on",
        "next_due_on",
        postgresql_where=text("next_due_on is not null"),
    ),
)

contract_due_days = Table(
    "contract_due_days",
    metadata,
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), primary_key=True),
    Column("from_on", Date, primary_key=True),
    Column("day", SmallInteger, nullable=False),
    CheckConstraint("day between 1 and 31", name="day"),
)

contract_plans = Table(
    "contract_plans",
    metadata,
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), primary_key=True),
    Column("from_on", Date, primary_key=True),
    reference("plan_id", "plans.id"),
)

contract_products = Table(
    "contract_products",
    metadata,
    own_id(),
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), nullable=False, index=True),
    reference("product_id", "products.id"),
    Column("price_cents", BigInteger, nullable=False),
    Column("from_on", Date, nullable=False),
    Column("until_on", Date),
    CheckConstraint("price_cents >= 0", name="price"),
    CheckConstraint("until_on >= from_on", name="span"),
)

# Of one contract, or of every contract of a plan.
discounts = Table(
    "discounts",
    metadata,
    own_id(),
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), index=True),
    Column("plan_id", BigInteger, ForeignKey("plans.id"), index=True),
    Column("description", Text, nullable=False),
    Column("basis_points", Integer),
    Column("cents", BigInteger),
    Column("conditional", Boolean, nullable=False),
    Column("from_on", Date, nullable=False),
    Column("until_on", Date),
    CheckConstraint("num_nonnulls(contract_id, plan_id) = 1", name="whose"),
    CheckConstraint(
        f"num_nonnulls(basis_points, cents) = 1 and {_SHARE} and cents > 0", name="amount"
    ),
    CheckConstraint("until_on > from_on", name="span"),
)

# Lines that wait for the first invoice due on or after a day. Once on one they stay as they are.
waiting_lines = Table(
    "waiting_lines",
    metadata,
    own_id(),
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), nullable=False),
    Column("description", Text, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("service", Text, nullable=False, server_default=""),
    Column("from_on", Date),
    Column("until_on", Date),
    Column("due_from", Date, nullable=False),
    # An operator's, or the correction of days that were billed before a change.
    Column("by_hand", Boolean, nullable=False),
    Column("author", Text, nullable=False),
    reference("invoice_id", "invoices.id", null=True),
    CheckConstraint("amount_cents <> 0", name="amount"),
    Index(
        "ix_waiting_lines_contract_id",
        "contract_id",
        postgresql_where=text("invoice_id is null"),
    ),
)

outages = Table(
    "outages",
    metadata,
    own_id(),
    Column("started_at", DateTime(timezone=True), nullable=False),
    # Null: it goes on, and stands against cuts. Credit is given when it has ended.
    Column("ended_at", DateTime(timezone=True)),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    CheckConstraint("ended_at > started_at", name="span"),
    Index("ix_outages_running", "id", postgresql_where=text("ended_at is null")),
)

outage_contracts = Table(
    "outage_contracts",
    metadata,
    Column("outage_id", BigInteger, ForeignKey("outages.id"), primary_key=True),
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), primary_key=True),
    reference("invoice_id", "invoices.id", null=True),
    Index(
        "ix_outage_contracts_contract_id",
        "contract_id",
        postgresql_where=text("invoice_id is null"),
    ),
)

minimum_terms = Table(
    "minimum_terms",
    metadata,
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), primary_key=True),
    Column("from_on", Date, nullable=False),
    Column("until_on", Date, nullable=False),
    Column("penalty_cents", BigInteger, nullable=False),
    Column("away_from_shop", Boolean, nullable=False),
    CheckConstraint("until_on - from_on between 1 and 366", name="span"),
    CheckConstraint("penalty_cents >= 0", name="penalty"),
)

# Ends that are still to come, and whose they were: the run of the day does what they ask for.
contract_endings = Table(
    "contract_endings",
    metadata,
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), primary_key=True),
    # The first day without service.
    Column("ends_on", Date, nullable=False, index=True),
    Column("told_on", Date, nullable=False),
    Column("why", Text, nullable=False),
    Column("author", Text, nullable=False),
    CheckConstraint("why in ('customer', 'provider_breach', 'moved', 'debt')", name="why"),
)

billing_runs = Table(
    "billing_runs",
    metadata,
    own_id(),
    Column("until_on", Date, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    # Null: it goes on, or was cut short; the next run does the rest.
    Column("ended_at", DateTime(timezone=True)),
    Column("actor", Text, nullable=False),
    Column("invoices", Integer, nullable=False, server_default="0"),
    Column("amount_cents", BigInteger, nullable=False, server_default="0"),
    Column("parked", Integer, nullable=False, server_default="0"),
)

# One row for each contract and due date that a run is done with: none is billed twice (M5).
billed_cycles = Table(
    "billed_cycles",
    metadata,
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), primary_key=True),
    Column("due_on", Date, primary_key=True),
    # Null: there was nothing to pay, or it is left to the next invoice.
    reference("invoice_id", "invoices.id", null=True),
    Column("billed_from", Date, nullable=False),
    Column("billed_until", Date, nullable=False),
    # From which day on its invoice gave back suspended days.
    Column("credited_from", Date, nullable=False),
    UniqueConstraint("invoice_id"),
)

# Proposed invoices that are illegal or absurd (rule 16). The contract waits until each is decided.
parked_invoices = Table(
    "parked_invoices",
    metadata,
    own_id(),
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), nullable=False),
    Column("due_on", Date, nullable=False),
    Column("flaws", ARRAY(Text), nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("lines", JSONB, nullable=False),
    Column("parked_at", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False, server_default="parked"),
    # Who said that it is right, and what was issued in the end.
    Column("released_by", Text),
    reference("invoice_id", "invoices.id", null=True),
    UniqueConstraint("contract_id", "due_on"),
    CheckConstraint("state in ('parked', 'released', 'issued')", name="state"),
)
