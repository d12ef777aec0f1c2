"""The ladder: policies, notices, promises, holds, and what was decided."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from api.store.columns import LEVELS, instant, metadata, own_id, reference

policies = Table(
    "policies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", JSONB, nullable=False),
    Column("author", Text, nullable=False),
    instant("created_at", null=False),
    # The first local day on which the version may rule; none: from whenever.
    Column("valid_from", Date),
    Column("id", BigInteger, Identity(always=False), nullable=False, unique=True),
    CheckConstraint("version > 0", name="version"),
)

notices = Table(
    "notices",
    metadata,
    own_id(),
    reference("subscriber_id", "subscribers.id", index=True),
    instant("drawn_at", null=False),
    # {"invoice id": unpaid principal in cents}, the invoices that it covers
    Column("amounts_cents", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="drawn"),
    Column("channel", Text),
    Column("address", Text),
    Column("message_id", Text, unique=True),
    Column("content_sha256", LargeBinary),
    instant("proven_at"),
    instant("failed_at"),
    # Not before this instant of the business clock: quiet hours, or a receipt that may come.
    instant("wait_until"),
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
    own_id(),
    reference("contract_id", "contracts.id", index=True),
    instant("made_at", null=False),
    Column("until_on", Date, nullable=False),
    Column("author", Text, nullable=False),
    Column("debt_invoice_ids", ARRAY(BigInteger), nullable=False),
    Column("author_kind", Text, nullable=False, server_default="operator"),
    Column("state", Text, nullable=False, server_default="running"),
    instant("settled_at"),
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
    own_id(),
    reference("contract_id", "contracts.id", index=True),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    instant("placed_at", null=False),
    instant("expires_at", null=False),
    Column("kind", Text, nullable=False, server_default="hold"),
    # Null: it was not ended before it expires.
    instant("ended_at"),
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
    own_id(),
    reference("contract_id", "contracts.id"),
    Column("generation", Integer, nullable=False),
    Column("level", Text, nullable=False),
    Column("rate_down_bps", BigInteger, nullable=False),
    Column("rate_up_bps", BigInteger, nullable=False),
    Column("step", Text),
    Column("reason", Text, nullable=False),
    Column("invoice_ids", ARRAY(BigInteger), nullable=False),
    Column("counted_cents", BigInteger, nullable=False),
    reference("notice_id", "notices.id", null=True),
    Column("policy", Text, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("rungs", JSONB, nullable=False),
    # The situation that was judged, so that `religa verify` can judge it again.
    Column("situation", JSONB, nullable=False),
    instant("decided_at", null=False),
    instant("review_on"),
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
