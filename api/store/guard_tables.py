"""The tables of the guards: switches, what was heard of providers, cuts, and plans of sweeps."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
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

from api.store.columns import LEVELS, instant, metadata, own_id
from api.store.customer_tables import contracts

# Those to look at again when what stands against cuts is lifted.
Index(
    "ix_contracts_barred",
    contracts.c.reason,
    postgresql_where=text("reason in ('guard', 'kill_switch', 'stale_feed')"),
)

# What stops cuts at once, from when it was put until it is lifted.
kill_switches = Table(
    "kill_switches",
    metadata,
    own_id(),
    Column("scope", Text, nullable=False),
    Column("nas_id", BigInteger, ForeignKey("nases.id")),
    Column("contract_id", BigInteger, ForeignKey("contracts.id")),
    Column("author", Text, nullable=False),
    Column("reason", Text, nullable=False),
    instant("put_at", null=False),
    Column("put_wall", DateTime(timezone=True), nullable=False, server_default=func.now()),
    instant("lifted_at"),
    Column("lifted_by", Text),
    Column("lifted_because", Text),
    CheckConstraint(
        "(scope = 'nas') = (nas_id is not null)"
        " and (scope = 'contract') = (contract_id is not null)",
        name="whose",
    ),
    CheckConstraint("scope in ('global', 'nas', 'contract')", name="scope"),
    CheckConstraint("length(author) > 0 and length(reason) > 0", name="reason"),
    CheckConstraint("num_nonnulls(lifted_at, lifted_by, lifted_because) in (0, 3)", name="lifted"),
    # One of a kind stands at a time.
    Index(
        "uq_kill_switches_standing",
        "scope",
        text("coalesce(nas_id, contract_id, 0)"),
        unique=True,
        postgresql_where=text("lifted_at is null"),
    ),
)

# When a payment provider was last heard of, in business time; one without a row never was.
payment_feeds = Table(
    "payment_feeds",
    metadata,
    Column("provider", Text, primary_key=True),
    instant("heard_at", null=False),
    Column("heard_wall", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # It is used no more: nobody waits for its news.
    instant("retired_at"),
)

# Each move to a more severe level for debt, whoever decided it.
cuts = Table(
    "cuts",
    metadata,
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    instant("at", null=False),
    Column(
        "at_wall", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    ),
    # What stood before, so that a cut that reached no line can be taken back.
    Column("level_before", Text, nullable=False),
    Column("rungs_before", JSONB, nullable=False),
    Index("ix_cuts_at", "at"),
    Index("ix_cuts_at_wall", "at_wall"),
)

# What a sweep would do (a preview), does, or was kept from doing.
review_plans = Table(
    "review_plans",
    metadata,
    own_id(),
    Column("state", Text, nullable=False),
    instant("made_at", null=False),
    Column("made_wall", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("actor", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("cuts", Integer, nullable=False),
    # What the guards saw: running contracts, and how many of them one sweep may cut.
    Column("active", Integer, nullable=False),
    Column("cuts_max", Integer, nullable=False),
    # What said so: the share, what this weekday's sweeps usually cut, or the floor.
    Column("cuts_max_by", Text),
    # The NASes of which it would cut too many: name, cuts, how many it may, contracts.
    Column("crowded", JSONB, nullable=False, server_default="[]"),
    Column("flaws", ARRAY(Text), nullable=False, server_default="{}"),
    Column("totals", JSONB, nullable=False),
    # Until when a refused plan can be released.
    instant("expires_at"),
    # Its first cuts are watched: waiting until then; passed; or stopped, and the rest is a plan of
    # its own, which names whose sign stopped it.
    Column("canary", Text),
    instant("canary_until"),
    Column("rest_of", BigInteger, ForeignKey("review_plans.id")),
    Column("signs", JSONB, nullable=False, server_default="[]"),
    CheckConstraint("cuts_max_by in ('share', 'usual', 'floor')", name="cuts_max_by"),
    CheckConstraint("canary in ('waiting', 'passed', 'stopped')", name="canary"),
    CheckConstraint("(canary is null) = (canary_until is null)", name="canary_until"),
    CheckConstraint(
        "state in ('preview', 'running', 'refused', 'released', 'done', 'expired', 'overtaken')",
        name="state",
    ),
    CheckConstraint("(state = 'refused') <= (expires_at is not null)", name="expires_at"),
    Index(
        "ix_review_plans_live",
        "state",
        postgresql_where=text("state in ('running', 'refused', 'released')"),
    ),
)

review_rows = Table(
    "review_rows",
    metadata,
    # Without foreign keys: a preview of everybody is written at once, and kept for a day.
    Column("plan_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("subscriber_id", BigInteger, nullable=False),
    Column("subscriber", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("nas", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("counted_cents", BigInteger, nullable=False),
    Column("invoice_ids", ARRAY(BigInteger), nullable=False),
    Column("notice_id", BigInteger),
    Column("policy", Text, nullable=False),
    Column("policy_version", Integer, nullable=False),
    # When it would be looked at next; null: never.
    instant("review_on"),
    # Of a cut that is to be made: waiting; cut; or left, and why (`outcome`). Of others: shown.
    Column("state", Text, nullable=False),
    Column("outcome", Text),
    CheckConstraint(f"before in {LEVELS} and after in {LEVELS}", name="levels"),
    CheckConstraint("state in ('shown', 'waiting', 'cut', 'left')", name="state"),
    Index("ix_review_rows_waiting", "contract_id", postgresql_where=text("state = 'waiting'")),
)

review_approvals = Table(
    "review_approvals",
    metadata,
    own_id(),
    Column("plan_id", BigInteger, ForeignKey("review_plans.id"), nullable=False),
    Column("author", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    instant("at", null=False),
    UniqueConstraint("plan_id", "author"),
)
