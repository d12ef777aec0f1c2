"""Money: invoices, the ledger and its seals, payments and what became of them."""

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
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from api.store.columns import instant, metadata, own_id, reference

# What a payer of several contracts is sent as one: the invoices that fall due on a day.
bills = Table(
    "bills",
    metadata,
    own_id(),
    reference("subscriber_id", "subscribers.id"),
    Column("due_on", Date, nullable=False),
    instant("made_at", null=False),
    UniqueConstraint("subscriber_id", "due_on"),
)

invoices = Table(
    "invoices",
    metadata,
    own_id(),
    reference("contract_id", "contracts.id", index=True),
    reference("bill_id", "bills.id", null=True, index=True),
    Column("due_on", Date, nullable=False),
    instant("issued_at", null=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("amount_cents", BigInteger, nullable=False),
    Column("paid_cents", BigInteger, nullable=False, server_default="0"),
    Column("fine_paid_cents", BigInteger, nullable=False, server_default="0"),
    Column("interest_paid_cents", BigInteger, nullable=False, server_default="0"),
    Column("fine_base_cents", BigInteger),
    Column("interest_accrued_parts", BigInteger, nullable=False, server_default="0"),
    Column("interest_since", Date),
    # The conditional discount that was kept, and what was paid by the date that it asks for.
    Column("discount_cents", BigInteger, nullable=False, server_default="0"),
    Column("paid_in_time_cents", BigInteger, nullable=False, server_default="0"),
    # When a reversal opened it again: notices drawn before do not cover it any more.
    instant("reopened_at"),
    Column("late_before", Boolean, nullable=False, server_default=false()),
    CheckConstraint(
        "state in ('open', 'paid', 'void', 'renegotiated', 'written_off', 'disputed')",
        name="state",
    ),
    CheckConstraint(
        "paid_cents >= 0 and discount_cents >= 0 and paid_cents + discount_cents <= amount_cents",
        name="paid",
    ),
    CheckConstraint("fine_paid_cents >= 0 and interest_paid_cents >= 0", name="charges"),
    CheckConstraint(
        "(state = 'paid') <= (paid_cents + discount_cents = amount_cents)", name="paid_means_paid"
    ),
    Index("ix_invoices_state_due_on", "state", "due_on"),
    # Who is late is read from this alone (`api.store.delinquency`).
    Index(
        "ix_invoices_owed",
        "due_on",
        postgresql_include=["contract_id", "state", "amount_cents", "paid_cents", "discount_cents"],
        postgresql_where=text("state in ('open', 'disputed')"),
    ),
)

invoice_lines = Table(
    "invoice_lines",
    metadata,
    Column("invoice_id", BigInteger, ForeignKey("invoices.id"), primary_key=True),
    Column("position", SmallInteger, primary_key=True),
    Column("description", Text, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("kind", Text, nullable=False, server_default="other"),
    Column("service", Text, nullable=False, server_default=""),
    Column("from_on", Date),
    Column("until_on", Date),
    Column("conditional", Boolean, nullable=False, server_default=false()),
    CheckConstraint(
        "kind in ('scm', 'sva', 'one_off', 'penalty', 'instalment', 'other')", name="kind"
    ),
    CheckConstraint("not conditional or amount_cents < 0", name="conditional"),
    CheckConstraint("until_on > from_on", name="span"),
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    own_id(),
    Column("kind", Text, nullable=False),
    instant("at", null=False),
    Column("reference", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("recorded_wall", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # The rows that were written with it. Null: of before entries were sealed.
    Column("document", JSONB),
    UniqueConstraint("kind", "reference"),
)

# The chain of entries (invariant M11), in the order of their commits.
ledger_seals = Table(
    "ledger_seals",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", BigInteger, ForeignKey("ledger_entries.id"), nullable=False, unique=True),
    Column("version", SmallInteger, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
)

ledger_postings = Table(
    "ledger_postings",
    metadata,
    Column("entry_id", BigInteger, ForeignKey("ledger_entries.id"), primary_key=True),
    Column("position", SmallInteger, primary_key=True),
    Column("account", Text, nullable=False, index=True),
    Column("cents", BigInteger, nullable=False),
    CheckConstraint("cents <> 0", name="nonzero"),
)

charges = Table(
    "charges",
    metadata,
    own_id(),
    Column("provider", Text, nullable=False),
    Column("txid", Text, nullable=False),
    reference("invoice_id", "invoices.id", null=True, index=True),
    reference("bill_id", "bills.id", null=True, index=True),
    Column("amount_cents", BigInteger, nullable=False),
    Column("copy_and_paste", Text, nullable=False),
    instant("created_at", null=False),
    UniqueConstraint("provider", "txid"),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("num_nonnulls(invoice_id, bill_id) = 1", name="subject"),
)

payment_notices = Table(
    "payment_notices",
    metadata,
    own_id(),
    Column("provider", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # Of the fields that may never change under one id; a repeat that differs is refused.
    Column("sha256", LargeBinary, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="received"),
    Column("correlation_id", Text, nullable=False),
    instant("received_at", null=False),
    Column(
        "received_wall",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_wall", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("last_error", Text),
    UniqueConstraint("provider", "external_id", "kind"),
    CheckConstraint("state in ('received', 'settled', 'refused')", name="state"),
    Index(
        "ix_payment_notices_open",
        "next_attempt_wall",
        postgresql_where=text("state = 'received'"),
    ),
)

payments = Table(
    "payments",
    metadata,
    own_id(),
    Column("provider", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    reference("invoice_id", "invoices.id", null=True, index=True),
    reference("bill_id", "bills.id", null=True),
    reference("subscriber_id", "subscribers.id", null=True, index=True),
    Column("amount_cents", BigInteger, nullable=False),
    Column("method", Text, nullable=False),
    Column("reference", Text, nullable=False),
    instant("paid_at", null=False),
    instant("cleared_at", null=False),
    Column("credit_cents", BigInteger, nullable=False, server_default="0"),
    Column("state", Text, nullable=False, server_default="posted"),
    # Why it is in suspense, for the list that people work through.
    Column("suspense_reason", Text),
    reference("entry_id", "ledger_entries.id"),
    Column("correlation_id", Text, nullable=False),
    UniqueConstraint("provider", "external_id"),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("state in ('posted', 'suspense')", name="state"),
    CheckConstraint("(state = 'suspense') = (subscriber_id is null)", name="suspense"),
)

# Money that went back: what a payment lost again (invariant M12).
reversals = Table(
    "reversals",
    metadata,
    own_id(),
    reference("payment_id", "payments.id", index=True),
    Column("kind", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    # What of it the customer's credit gave; the rest was taken from invoices. Settling the day's
    # other payments anew counts in, so it may be below zero.
    Column("credit_cents", BigInteger, nullable=False, server_default="0"),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    instant("at", null=False),
    reference("entry_id", "ledger_entries.id"),
    Column("correlation_id", Text, nullable=False),
    UniqueConstraint("provider", "external_id", "kind"),
    CheckConstraint("kind in ('refund', 'chargeback', 'returned')", name="kind"),
    CheckConstraint("amount_cents > 0", name="amount"),
)

# What was changed of an issued invoice, by whom and why.
corrections = Table(
    "corrections",
    metadata,
    own_id(),
    reference("invoice_id", "invoices.id", index=True),
    Column("kind", Text, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    # What of it was paid already and is now the customer's credit.
    Column("credit_cents", BigInteger, nullable=False, server_default="0"),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    instant("at", null=False),
    reference("entry_id", "ledger_entries.id"),
    Column("correlation_id", Text, nullable=False),
    CheckConstraint(
        "kind in ('credit_note', 'debit_note', 'void', 'write_off', 'renegotiation',"
        " 'restoration', 'dispute', 'release')",
        name="kind",
    ),
    CheckConstraint("amount_cents >= 0 and credit_cents >= 0", name="amount"),
    CheckConstraint("length(author) > 0 and length(reason) > 0", name="reason"),
)

allocations = Table(
    "allocations",
    metadata,
    own_id(),
    # Null: paid from customer credit.
    reference("payment_id", "payments.id", null=True, index=True),
    reference("invoice_id", "invoices.id", index=True),
    Column("interest_cents", BigInteger, nullable=False),
    Column("fine_cents", BigInteger, nullable=False),
    Column("principal_cents", BigInteger, nullable=False),
    # The conditional discount that it earned: owed no longer, and paid by nobody.
    Column("discount_cents", BigInteger, nullable=False, server_default="0"),
    # What one of these took back: below zero.
    reference("reversal_id", "reversals.id", null=True),
    reference("correction_id", "corrections.id", null=True),
    CheckConstraint(
        "(interest_cents, fine_cents, principal_cents, discount_cents) <> (0, 0, 0, 0)",
        name="amounts",
    ),
    CheckConstraint("num_nonnulls(reversal_id, correction_id) <= 1", name="taken_back"),
)
