"""The tables of before and after a contract: credit inquiries, bureau records, agencies.

Documents of applicants stand in `document` until they are forgotten; `subject` is a keyed hash of
one, by which equal documents are found after that too.
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
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from api.store.columns import instant, metadata, own_id, reference


def _tries() -> tuple[Column[int], Column[object], Column[str]]:
    """Of rows that are a queue: a claim moves `next_attempt_wall` past a lease."""
    return (
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column(
            "next_attempt_wall", DateTime(timezone=True), nullable=False, server_default=func.now()
        ),
        Column("last_error", Text),
    )


bureaus = Table(
    "bureaus",
    metadata,
    Column("name", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("credential", LargeBinary, nullable=False),
    # Ours, under which the bureau knows the debts.
    Column("creditor_document", String(14), nullable=False),
    # Of one inquiry.
    Column("price_cents", BigInteger, nullable=False),
    Column("timeout_ms", Integer, nullable=False, server_default="30000"),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    CheckConstraint("price_cents >= 0", name="price"),
    CheckConstraint("timeout_ms between 100 and 120000", name="timeout"),
    CheckConstraint("name in ('spc', 'serasa', 'boa_vista')", name="name"),
)

credit_tables = Table(
    "credit_tables",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", JSONB, nullable=False),
    Column("author", Text, nullable=False),
    instant("created_at", null=False),
    CheckConstraint("version > 0", name="version"),
)

credit_inquiries = Table(
    "credit_inquiries",
    metadata,
    own_id(),
    Column("bureau", Text, nullable=False),
    Column("subject", LargeBinary, nullable=False),
    Column("document", String(14)),
    Column("purpose", Text, nullable=False),
    Column("consent", JSONB, nullable=False),
    Column("author", Text, nullable=False),
    instant("asked_at", null=False),
    # What the bureau knows the call by; the same when it is asked again.
    Column("reference", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False, server_default="asked"),
    Column("cost_cents", BigInteger, nullable=False),
    Column("report", JSONB),
    Column("protocol", Text, nullable=False, server_default=""),
    instant("answered_at"),
    # When it was last sent, in real time: only later can a bureau not know of it.
    Column("sent_wall", DateTime(timezone=True)),
    *_tries(),
    CheckConstraint("state in ('asked', 'unknown', 'done', 'failed')", name="state"),
    CheckConstraint("cost_cents >= 0", name="cost"),
    CheckConstraint("(state in ('done', 'failed')) = (answered_at is not null)", name="answered"),
    Index("ix_credit_inquiries_subject", "subject", "bureau", "asked_at"),
    # One document is asked about once at a time, so that no time-out costs twice.
    Index(
        "uq_credit_inquiries_open",
        "bureau",
        "subject",
        unique=True,
        postgresql_where=text("state in ('asked', 'unknown')"),
    ),
)

credit_analyses = Table(
    "credit_analyses",
    metadata,
    own_id(),
    Column("subject", LargeBinary, nullable=False, index=True),
    Column("document", String(14)),
    reference("plan_id", "plans.id"),
    Column("price_cents", BigInteger, nullable=False),
    Column("customer_class", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("consent", JSONB, nullable=False),
    Column("author", Text, nullable=False),
    instant("made_at", null=False),
    Column("valid_until", Date, nullable=False),
    Column("state", Text, nullable=False),
    Column("inquiry_ids", ARRAY(BigInteger), nullable=False),
    # 0: the table that ships with the product.
    Column("table_version", Integer, nullable=False),
    # What was looked at, which rule decided, and what it says, as `billing.credit` has them.
    Column("criteria", JSONB),
    Column("rule", SmallInteger),
    Column("decided", JSONB),
    Column("texts", JSONB),
    Column("overruling", JSONB),
    Column("proposed", JSONB),
    # In force: a person's word, else the table's.
    Column("outcome", Text),
    reference("contract_id", "contracts.id", null=True),
    CheckConstraint("state in ('waiting', 'decided', 'awaiting_second')", name="state"),
    CheckConstraint("(state = 'waiting') = (outcome is null)", name="outcome"),
    UniqueConstraint("contract_id"),
    Index("ix_credit_analyses_waiting", "id", postgresql_where=text("state = 'waiting'")),
)

listing_letters = Table(
    "listing_letters",
    metadata,
    own_id(),
    reference("contract_id", "contracts.id", index=True),
    reference("subscriber_id", "subscribers.id"),
    Column("bureaus", ARRAY(Text), nullable=False),
    # Principals in cents, by invoice.
    Column("amounts_cents", JSONB, nullable=False),
    instant("drawn_at", null=False),
    Column("state", Text, nullable=False, server_default="drawn"),
    Column("channel", Text),
    Column("address", Text),
    Column("message_id", Text, unique=True),
    Column("content_sha256", LargeBinary),
    instant("proven_at"),
    instant("failed_at"),
    # Not before this instant of the business clock: quiet hours, a receipt that may come.
    instant("wait_until"),
    *_tries(),
    CheckConstraint("state in ('drawn', 'proven', 'failed')", name="state"),
    CheckConstraint(
        "(state = 'proven') = (proven_at is not null)"
        " and (proven_at is null or (channel is not null and content_sha256 is not null))",
        name="proof",
    ),
    Index(
        "ix_listing_letters_drawn", "next_attempt_wall", postgresql_where=text("state = 'drawn'")
    ),
)

listings = Table(
    "listings",
    metadata,
    own_id(),
    Column("bureau", Text, nullable=False),
    reference("contract_id", "contracts.id", index=True),
    reference("invoice_id", "invoices.id", index=True),
    Column("due_on", Date, nullable=False),
    Column("cents", BigInteger, nullable=False),
    # No letter, no record (CDC art. 43 par. 2).
    reference("letter_id", "listing_letters.id"),
    instant("made_at", null=False),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("include_reference", Text, nullable=False, unique=True),
    Column("exclude_reference", Text, nullable=False, unique=True),
    Column("protocol", Text, nullable=False, server_default=""),
    instant("listed_at"),
    Column("removal", Text),
    instant("removal_at"),
    # The last day to take it out.
    Column("remove_by", Date),
    instant("removed_at"),
    instant("alarmed_at"),
    Column("sent_wall", DateTime(timezone=True)),
    *_tries(),
    CheckConstraint(
        "state in ('pending', 'sent', 'awaiting', 'listed', 'refused', 'removing', 'removal_sent',"
        " 'removal_awaiting', 'removed', 'cancelled')",
        name="state",
    ),
    CheckConstraint(
        "removal in ('paid', 'renegotiated', 'disputed', 'prescribed', 'amount_changed',"
        " 'cancelled', 'by_hand')",
        name="removal",
    ),
    CheckConstraint("num_nulls(removal, removal_at, remove_by) in (0, 3)", name="removal_whole"),
    CheckConstraint(
        "state not in ('removing', 'removal_sent', 'removal_awaiting', 'removed', 'cancelled')"
        " or removal is not null",
        name="removal_has_reason",
    ),
    CheckConstraint("cents > 0", name="amount"),
    # The same inclusion never twice.
    Index(
        "uq_listings_living",
        "bureau",
        "invoice_id",
        unique=True,
        postgresql_where=text("state not in ('removed', 'cancelled')"),
    ),
    Index(
        "ix_listings_due",
        "next_attempt_wall",
        postgresql_where=text(
            "state in ('pending', 'sent', 'awaiting', 'removing', 'removal_sent',"
            " 'removal_awaiting')"
        ),
    ),
)

agencies = Table(
    "agencies",
    metadata,
    own_id(),
    Column("name", Text, nullable=False, unique=True),
    instant("created_at", null=False),
)

# Which agency a token of the role `agency` speaks for.
agency_tokens = Table(
    "agency_tokens",
    metadata,
    Column("token_id", BigInteger, ForeignKey("tokens.id"), primary_key=True),
    reference("agency_id", "agencies.id"),
)

handover_batches = Table(
    "handover_batches",
    metadata,
    own_id(),
    reference("agency_id", "agencies.id", index=True),
    instant("made_at", null=False),
    Column("author", Text, nullable=False),
    # The file as it was made, sealed: it names people.
    Column("content", LargeBinary, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("collect_cents", BigInteger, nullable=False),
)

handovers = Table(
    "handovers",
    metadata,
    own_id(),
    reference("agency_id", "agencies.id", index=True),
    reference("contract_id", "contracts.id", index=True),
    reference("batch_id", "handover_batches.id"),
    instant("handed_at", null=False),
    # What the agency was told last.
    Column("told_cents", BigInteger, nullable=False),
    Column("withdrawal", Text),
    instant("withdrawn_at"),
    Column("withdraw_by", Date),
    # The file that told of the withdrawal; the API shows it at once.
    reference("withdrawal_batch_id", "handover_batches.id", null=True),
    CheckConstraint(
        "num_nulls(withdrawal, withdrawn_at, withdraw_by) in (0, 3)", name="withdrawal_whole"
    ),
    Index(
        "uq_handovers_living",
        "contract_id",
        unique=True,
        postgresql_where=text("withdrawn_at is null"),
    ),
)
