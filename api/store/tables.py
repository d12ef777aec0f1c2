"""The tables: what a database can express of the invariants is a constraint here.

Triggers say what SQL alone can express (balanced entries, append only, the log of grant changes);
they are in the migrations. All instants are `timestamptz`. Columns named `*_wall` hold real time
even in rehearsal: they measure.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, CIDR, INET, JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

LEVELS = "('full', 'reduced', 'walled', 'blocked')"


def _id() -> Column[int]:
    # Not ALWAYS: the shell draws ids from the sequence before it calls the pure core.
    return Column("id", BigInteger, Identity(always=False), primary_key=True)


def _instant(name: str, *, null: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=null)


def _ref(name: str, target: str, *, null: bool = False, index: bool = False) -> Column[int]:
    return Column(name, BigInteger, ForeignKey(target), nullable=null, index=index)


# --- who works here -------------------------------------------------------------------------------

operators = Table(
    "operators",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text),
    _instant("created_at", null=False),
    _instant("disabled_at"),
    CheckConstraint("role in ('admin', 'noc', 'finance', 'auditor')", name="role"),
)

tokens = Table(
    "tokens",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    _ref("operator_id", "operators.id", null=True),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    _instant("created_at", null=False),
    _instant("expires_at"),
    _instant("revoked_at"),
    CheckConstraint("role in ('admin', 'noc', 'finance', 'auditor', 'agency')", name="role"),
)

login_failures = Table(
    "login_failures",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("at_wall", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_login_failures_name_peer_at", "name", "peer", "at_wall"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("body_sha256", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("answer", JSONB, nullable=False),
    Column("at_wall", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# --- what is sold, to whom, over which equipment --------------------------------------------------

plans = Table(
    "plans",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("down_bps", BigInteger, nullable=False),
    Column("up_bps", BigInteger, nullable=False),
    Column("reduced_down_bps", BigInteger, nullable=False),
    Column("reduced_up_bps", BigInteger, nullable=False),
    Column("price_cents", BigInteger, nullable=False),
    Column("ipv4_pool", Text),
    Column("ipv6_pool", Text),
    Column("simultaneous_use", Integer, nullable=False, server_default="1"),
    # What happens to one session more than that.
    Column("simultaneous_policy", Text, nullable=False, server_default="reject"),
    # Octets in both directions of one cycle; past it the line runs at the quota's rates.
    Column("quota_octets", BigInteger),
    Column("quota_down_bps", BigInteger),
    Column("quota_up_bps", BigInteger),
    # From this day no contract is made for it or changed to it; those that have it go on.
    Column("withdrawn_on", Date),
    CheckConstraint(
        "0 < reduced_down_bps and reduced_down_bps <= down_bps"
        " and 0 < reduced_up_bps and reduced_up_bps <= up_bps",
        name="rates",
    ),
    CheckConstraint("price_cents >= 0", name="price"),
    CheckConstraint("simultaneous_use > 0", name="simultaneous_use"),
    CheckConstraint(
        "simultaneous_policy in ('reject', 'drop_oldest', 'allow')", name="simultaneous_policy"
    ),
    CheckConstraint(
        "num_nulls(quota_octets, quota_down_bps, quota_up_bps) in (0, 3) and quota_octets > 0"
        " and quota_down_bps between 1 and down_bps and quota_up_bps between 1 and up_bps",
        name="quota",
    ),
)

nases = Table(
    "nases",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("address", CIDR, nullable=False, unique=True),
    Column("secret", LargeBinary, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("coa_port", Integer, nullable=False, server_default="3799"),
    Column("require_message_authenticator", Text, nullable=False, server_default="yes"),
    # It counts in 32 bits and starts over, without telling of it by Gigawords.
    Column("wraps_at_4_gib", Boolean, nullable=False, server_default=false()),
    # Input is what came from the subscriber (RFC 2866 section 5.3); some NASes mean the reverse.
    Column("input_is_upload", Boolean, nullable=False, server_default=true()),
    CheckConstraint("coa_port between 1 and 65535", name="coa_port"),
    CheckConstraint("require_message_authenticator in ('yes', 'no', 'auto')", name="require_ma"),
)

subscribers = Table(
    "subscribers",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    # Text, never a number: CNPJ has letters since July 2026.
    Column("document", String(14), nullable=False, unique=True),
    Column("email", Text),
    Column("phone", Text),
    _instant("created_at", null=False),
)

contracts = Table(
    "contracts",
    metadata,
    _id(),
    _ref("subscriber_id", "subscribers.id", index=True),
    _ref("plan_id", "plans.id"),
    Column("due_day", SmallInteger, nullable=False),
    # What the contract follows: its own choice, or what class, region or plan say.
    Column("policy", Text, nullable=False),
    Column("policy_own", Boolean, nullable=False, server_default=false()),
    _instant("created_at", null=False),
    Column("ended_on", Date),
    # The standing: a projection of the last row of access_decisions, and of the last look.
    Column("level", Text, nullable=False, server_default="full"),
    Column("generation", Integer, nullable=False, server_default="1"),
    Column("reason", Text, nullable=False, server_default="no_debt"),
    _instant("since", null=False),
    # [{"level": ..., "entered_on": ...}], mild to severe
    Column("rungs", JSONB, nullable=False, server_default="[]"),
    _instant("review_on"),
    # The day of month on which the traffic quota starts anew; null: the due day.
    Column("quota_reset_day", SmallInteger),
    # What a good payer's full rates are raised by.
    Column("speed_bonus_percent", SmallInteger, nullable=False, server_default="0"),
    # The quota is used up until this local day begins; null: it is not.
    Column("quota_spent_until", Date),
    CheckConstraint("due_day between 1 and 31", name="due_day"),
    CheckConstraint("quota_reset_day between 1 and 31", name="quota_reset_day"),
    CheckConstraint("speed_bonus_percent between 0 and 100", name="speed_bonus_percent"),
    CheckConstraint(f"level in {LEVELS}", name="level"),
    CheckConstraint("generation > 0", name="generation"),
    Index("ix_contracts_review_on", "review_on", postgresql_where=text("review_on is not null")),
    Index("ix_contracts_level", "level"),
    # Few have ended: looks at what they owe walk these alone.
    Index("ix_contracts_ended", "id", postgresql_where=text("ended_on is not null")),
    Index(
        "ix_contracts_quota_spent_until",
        "quota_spent_until",
        postgresql_where=text("quota_spent_until is not null"),
    ),
)

logins = Table(
    "logins",
    metadata,
    _id(),
    _ref("contract_id", "contracts.id"),
    Column("username", Text, nullable=False, unique=True),
    Column("password", LargeBinary, nullable=False),
    Column("mac", Text),
    Column("circuit_id", Text),
    Column("remote_id", Text),
    Column("static_ipv4", INET),
    Column("delegated_ipv6", CIDR),
    UniqueConstraint("contract_id"),
    UniqueConstraint("static_ipv4"),
    UniqueConstraint("delegated_ipv6"),
    # It reaches routers and logs (invariant S7).
    CheckConstraint("username ~ '^[A-Za-z0-9._@-]{1,64}$'", name="username"),
)

# --- money ----------------------------------------------------------------------------------------

# What a payer of several contracts is sent as one: the invoices that fall due on a day.
bills = Table(
    "bills",
    metadata,
    _id(),
    _ref("subscriber_id", "subscribers.id"),
    Column("due_on", Date, nullable=False),
    _instant("made_at", null=False),
    UniqueConstraint("subscriber_id", "due_on"),
)

invoices = Table(
    "invoices",
    metadata,
    _id(),
    _ref("contract_id", "contracts.id", index=True),
    _ref("bill_id", "bills.id", null=True, index=True),
    Column("due_on", Date, nullable=False),
    _instant("issued_at", null=False),
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
    _instant("reopened_at"),
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
    _id(),
    Column("kind", Text, nullable=False),
    _instant("at", null=False),
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
    _id(),
    Column("provider", Text, nullable=False),
    Column("txid", Text, nullable=False),
    _ref("invoice_id", "invoices.id", null=True, index=True),
    _ref("bill_id", "bills.id", null=True, index=True),
    Column("amount_cents", BigInteger, nullable=False),
    Column("copy_and_paste", Text, nullable=False),
    _instant("created_at", null=False),
    UniqueConstraint("provider", "txid"),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("num_nonnulls(invoice_id, bill_id) = 1", name="subject"),
)

payment_notices = Table(
    "payment_notices",
    metadata,
    _id(),
    Column("provider", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    # Of the fields that may never change under one id; a repeat that differs is refused.
    Column("sha256", LargeBinary, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="received"),
    Column("correlation_id", Text, nullable=False),
    _instant("received_at", null=False),
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
    _id(),
    Column("provider", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    _ref("invoice_id", "invoices.id", null=True, index=True),
    _ref("bill_id", "bills.id", null=True),
    _ref("subscriber_id", "subscribers.id", null=True, index=True),
    Column("amount_cents", BigInteger, nullable=False),
    Column("method", Text, nullable=False),
    Column("reference", Text, nullable=False),
    _instant("paid_at", null=False),
    _instant("cleared_at", null=False),
    Column("credit_cents", BigInteger, nullable=False, server_default="0"),
    Column("state", Text, nullable=False, server_default="posted"),
    # Why it is in suspense, for the list that people work through.
    Column("suspense_reason", Text),
    _ref("entry_id", "ledger_entries.id"),
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
    _id(),
    _ref("payment_id", "payments.id", index=True),
    Column("kind", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    # What of it the customer's credit gave; the rest was taken from invoices. Settling the day's
    # other payments anew counts in, so it may be below zero.
    Column("credit_cents", BigInteger, nullable=False, server_default="0"),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _instant("at", null=False),
    _ref("entry_id", "ledger_entries.id"),
    Column("correlation_id", Text, nullable=False),
    UniqueConstraint("provider", "external_id", "kind"),
    CheckConstraint("kind in ('refund', 'chargeback', 'returned')", name="kind"),
    CheckConstraint("amount_cents > 0", name="amount"),
)

# What was changed of an issued invoice, by whom and why.
corrections = Table(
    "corrections",
    metadata,
    _id(),
    _ref("invoice_id", "invoices.id", index=True),
    Column("kind", Text, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    # What of it was paid already and is now the customer's credit.
    Column("credit_cents", BigInteger, nullable=False, server_default="0"),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _instant("at", null=False),
    _ref("entry_id", "ledger_entries.id"),
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
    _id(),
    # Null: paid from customer credit.
    _ref("payment_id", "payments.id", null=True, index=True),
    _ref("invoice_id", "invoices.id", index=True),
    Column("interest_cents", BigInteger, nullable=False),
    Column("fine_cents", BigInteger, nullable=False),
    Column("principal_cents", BigInteger, nullable=False),
    # The conditional discount that it earned: owed no longer, and paid by nobody.
    Column("discount_cents", BigInteger, nullable=False, server_default="0"),
    # What one of these took back: below zero.
    _ref("reversal_id", "reversals.id", null=True),
    _ref("correction_id", "corrections.id", null=True),
    CheckConstraint(
        "(interest_cents, fine_cents, principal_cents, discount_cents) <> (0, 0, 0, 0)",
        name="amounts",
    ),
    CheckConstraint("num_nonnulls(reversal_id, correction_id) <= 1", name="taken_back"),
)

# --- the ladder -----------------------------------------------------------------------------------

policies = Table(
    "policies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", JSONB, nullable=False),
    Column("author", Text, nullable=False),
    _instant("created_at", null=False),
    # The first local day on which the version may rule; none: from whenever.
    Column("valid_from", Date),
    Column("id", BigInteger, Identity(always=False), nullable=False, unique=True),
    CheckConstraint("version > 0", name="version"),
)

notices = Table(
    "notices",
    metadata,
    _id(),
    _ref("subscriber_id", "subscribers.id", index=True),
    _instant("drawn_at", null=False),
    # {"invoice id": unpaid principal in cents}, the invoices that it covers
    Column("amounts_cents", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="drawn"),
    Column("channel", Text),
    Column("address", Text),
    Column("message_id", Text, unique=True),
    Column("content_sha256", LargeBinary),
    _instant("proven_at"),
    _instant("failed_at"),
    # Not before this instant of the business clock: quiet hours, or a receipt that may come.
    _instant("wait_until"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_wall", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("last_error", Text),
    CheckConstraint("state in ('drawn', 'proven', 'failed')", name="state"),
    CheckConstraint(
        "(state = 'proven') = (proven_at is not null)"
        " and (proven_at is null or (channel is not null and content_sha256 is not null))",
        name="proof",
    ),
    Index("ix_notices_drawn", "next_attempt_wall", postgresql_where=text("state = 'drawn'")),
)

promises = Table(
    "promises",
    metadata,
    _id(),
    _ref("contract_id", "contracts.id", index=True),
    _instant("made_at", null=False),
    Column("until_on", Date, nullable=False),
    Column("author", Text, nullable=False),
    Column("debt_invoice_ids", ARRAY(BigInteger), nullable=False),
    Column("author_kind", Text, nullable=False, server_default="operator"),
    Column("state", Text, nullable=False, server_default="running"),
    _instant("settled_at"),
    CheckConstraint("author_kind in ('operator', 'customer')", name="author_kind"),
    CheckConstraint("state in ('running', 'extended', 'kept', 'broken')", name="state"),
    CheckConstraint("(state = 'running') = (settled_at is null)", name="settled"),
    Index("ix_promises_running", "contract_id", postgresql_where=text("state = 'running'")),
    Index(
        "ix_promises_until_on",
        "until_on",
        postgresql_where=text("state in ('running', 'broken')"),
    ),
)

holds = Table(
    "holds",
    metadata,
    _id(),
    _ref("contract_id", "contracts.id", index=True),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _instant("placed_at", null=False),
    _instant("expires_at", null=False),
    Column("kind", Text, nullable=False, server_default="hold"),
    # Null: it was not ended before it expires.
    _instant("ended_at"),
    Column("ended_by", Text, nullable=False, server_default=""),
    Column("end_reason", Text, nullable=False, server_default=""),
    CheckConstraint("expires_at > placed_at", name="expiry"),
    CheckConstraint("length(reason) > 0", name="reason"),
    CheckConstraint("kind in ('hold', 'exemption')", name="kind"),
    CheckConstraint(
        "ended_at is null or (length(ended_by) > 0 and length(end_reason) > 0)", name="ended"
    ),
)

access_decisions = Table(
    "access_decisions",
    metadata,
    _id(),
    _ref("contract_id", "contracts.id"),
    Column("generation", Integer, nullable=False),
    Column("level", Text, nullable=False),
    Column("rate_down_bps", BigInteger, nullable=False),
    Column("rate_up_bps", BigInteger, nullable=False),
    Column("step", Text),
    Column("reason", Text, nullable=False),
    Column("invoice_ids", ARRAY(BigInteger), nullable=False),
    Column("counted_cents", BigInteger, nullable=False),
    _ref("notice_id", "notices.id", null=True),
    Column("policy", Text, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("rungs", JSONB, nullable=False),
    # The situation that was judged, so that `religa verify` can judge it again.
    Column("situation", JSONB, nullable=False),
    _instant("decided_at", null=False),
    _instant("review_on"),
    # What it says of the traffic quota; null: not used up.
    Column("quota_spent_until", Date),
    Column("correlation_id", Text, nullable=False),
    Column(
        "decided_wall",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    UniqueConstraint("contract_id", "generation"),
    ForeignKeyConstraint(["policy", "policy_version"], ["policies.name", "policies.version"]),
    CheckConstraint(f"level in {LEVELS}", name="level"),
    # No notice, no cut (invariant A3); the customer's own suspension is none.
    CheckConstraint(
        "level = 'full' or notice_id is not null or situation ->> 'paused_until' is not null",
        name="cut_has_notice",
    ),
)

# --- the network ----------------------------------------------------------------------------------

sessions = Table(
    "sessions",
    metadata,
    _id(),
    # sha256 over NAS, Acct-Session-Id and Class (or User-Name): one session, however often told.
    Column("unique_id", LargeBinary, nullable=False, unique=True),
    Column("acct_session_id", Text, nullable=False),
    Column("username", Text, nullable=False),
    _ref("contract_id", "contracts.id", null=True, index=True),
    _ref("nas_id", "nases.id"),
    Column("nas_address", INET, nullable=False),
    Column("nas_port_id", Text),
    Column("ipv4", INET),
    Column("ipv6", CIDR),
    Column("delegated_ipv6", CIDR),
    Column("mac", Text),
    Column("class", LargeBinary),
    _instant("started_at", null=False),
    _instant("updated_at", null=False),
    _instant("stopped_at"),
    Column("session_seconds", BigInteger, nullable=False, server_default="0"),
    Column("input_octets", BigInteger, nullable=False, server_default="0"),
    Column("output_octets", BigInteger, nullable=False, server_default="0"),
    Column("terminate_cause", Text),
    # The NAS's Stop or its restart (Accounting-On, -Off). Null: open, or ended by us.
    Column("stopped_by", Text),
    # `api.meter.Meter`: the readings from which usage is told. Null: a session of before usage.
    Column("meter", ARRAY(BigInteger)),
    _instant("received_at", null=False),
    # What the line was told to be, and what we saw it be. `granted` came with the Access-Accept.
    Column("applied_generation", Integer, nullable=False, server_default="0"),
    Column("applied_level", Text),
    _instant("applied_wall"),
    Column("observed_generation", Integer, nullable=False, server_default="0"),
    _instant("observed_wall"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_wall", DateTime(timezone=True)),
    Column("lease_owner", Text),
    Column("lease_until_wall", DateTime(timezone=True)),
    Column("last_outcome", Text),
    Column("failed_generation", Integer),
    CheckConstraint("input_octets >= 0 and output_octets >= 0", name="octets"),
    CheckConstraint(
        "stopped_by is null or stopped_by in ('stop', 'restart') and stopped_at is not null",
        name="stopped_by",
    ),
    Index("ix_sessions_restarted", "nas_id", postgresql_where=text("stopped_by = 'restart'")),
    Index("ix_sessions_open_contract", "contract_id", postgresql_where=text("stopped_at is null")),
    Index("ix_sessions_open_nas", "nas_id", postgresql_where=text("stopped_at is null")),
    Index("ix_sessions_started_at", "started_at"),
)

# When NASes said, by Accounting-On or -Off, that none of their sessions lives any longer.
nas_restarts = Table(
    "nas_restarts",
    metadata,
    Column("nas_id", BigInteger, ForeignKey("nases.id"), primary_key=True),
    Column("nas_address", INET, primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True),
)

# Up to when each node's accounting is here: silence before that is silence, not our own delay.
shippers = Table(
    "shippers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("shipped_until", DateTime(timezone=True), nullable=False),
    # Between the interims that the node asks for.
    Column("interim_s", Integer, nullable=False),
    Column("seen_wall", DateTime(timezone=True), nullable=False),
)

# Traffic of a contract in whole hours (UTC) and in days of the provider's time zone.
usage_hours = Table(
    "usage_hours",
    metadata,
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), primary_key=True),
    Column("hour", DateTime(timezone=True), primary_key=True),
    Column("down_octets", BigInteger, nullable=False),
    Column("up_octets", BigInteger, nullable=False),
    CheckConstraint("down_octets >= 0 and up_octets >= 0", name="octets"),
)

usage_days = Table(
    "usage_days",
    metadata,
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("down_octets", BigInteger, nullable=False),
    Column("up_octets", BigInteger, nullable=False),
    CheckConstraint("down_octets >= 0 and up_octets >= 0", name="octets"),
)

# Whose quota is to be looked at, and how often something of it changed since the last look.
quota_looks = Table(
    "quota_looks",
    metadata,
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), primary_key=True),
    Column("changes", BigInteger, nullable=False),
)

network_actions = Table(
    "network_actions",
    metadata,
    _id(),
    _ref("session_id", "sessions.id", index=True),
    _ref("contract_id", "contracts.id", index=True),
    _ref("nas_id", "nases.id"),
    Column("generation", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    # For the access that was decided, or because the contract had one line too many or has ended.
    Column("reason", Text, nullable=False, server_default="access"),
    Column("outcome", Text, nullable=False),
    Column("error_cause", Integer),
    Column("sends", Integer, nullable=False),
    _instant("sent_wall", null=False),
    _instant("answered_wall"),
    # Real time from the payment notice (or the decision) that caused this generation.
    Column("correlation_id", Text, nullable=False),
    CheckConstraint("kind in ('coa', 'disconnect')", name="kind"),
    CheckConstraint("reason in ('access', 'surplus', 'ended')", name="reason"),
    CheckConstraint("outcome in ('ack', 'nak', 'silence', 'superseded')", name="outcome"),
)

grant_changes = Table(
    "grant_changes",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    # Compared with the snapshot's xmin: what a transaction still open may hide is read again.
    Column("xid", BigInteger, nullable=False, index=True),
    Column("subject", Text, nullable=False),
    Column("subject_id", BigInteger, nullable=False),
    CheckConstraint("subject in ('login', 'nas')", name="subject"),
)

nodes = Table(
    "nodes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("seen_wall", DateTime(timezone=True), nullable=False),
    Column("state", JSONB, nullable=False),
)

# --- proof and housekeeping -----------------------------------------------------------------------

audit_log = Table(
    "audit_log",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("version", SmallInteger, nullable=False),
    _instant("at", null=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Index("ix_audit_log_subject_seq", "subject", "seq"),
)

# Single rows by name: the secret key's check value, the rehearsal clock, sweep watermarks.
facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
)
