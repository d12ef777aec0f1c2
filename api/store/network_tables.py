"""The network: sessions, usage, actions on routers, nodes."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, CIDR, INET, JSONB

from api.store.columns import instant, metadata, own_id, reference

sessions = Table(
    "sessions",
    metadata,
    own_id(),
    # sha256 over NAS, Acct-Session-Id and Class (or User-Name): one session, however often told.
    Column("unique_id", LargeBinary, nullable=False, unique=True),
    Column("acct_session_id", Text, nullable=False),
    Column("username", Text, nullable=False),
    reference("contract_id", "contracts.id", null=True, index=True),
    reference("nas_id", "nases.id"),
    Column("nas_address", INET, nullable=False),
    Column("nas_port_id", Text),
    Column("ipv4", INET),
    Column("ipv6", CIDR),
    Column("delegated_ipv6", CIDR),
    Column("mac", Text),
    Column("class", LargeBinary),
    instant("started_at", null=False),
    instant("updated_at", null=False),
    instant("stopped_at"),
    Column("session_seconds", BigInteger, nullable=False, server_default="0"),
    Column("input_octets", BigInteger, nullable=False, server_default="0"),
    Column("output_octets", BigInteger, nullable=False, server_default="0"),
    Column("terminate_cause", Text),
    # The NAS's Stop or its restart (Accounting-On, -Off). Null: open, or ended by us.
    Column("stopped_by", Text),
    # `api.meter.Meter`: the readings from which usage is told. Null: a session of before usage.
    Column("meter", ARRAY(BigInteger)),
    instant("received_at", null=False),
    # What the line was told to be, and what we saw it be. `granted` came with the Access-Accept.
    Column("applied_generation", Integer, nullable=False, server_default="0"),
    Column("applied_level", Text),
    instant("applied_wall"),
    Column("observed_generation", Integer, nullable=False, server_default="0"),
    instant("observed_wall"),
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
    own_id(),
    reference("session_id", "sessions.id", index=True),
    reference("contract_id", "contracts.id", index=True),
    reference("nas_id", "nases.id"),
    Column("generation", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    # For the access that was decided, or because the contract had one line too many or has ended.
    Column("reason", Text, nullable=False, server_default="access"),
    Column("outcome", Text, nullable=False),
    Column("error_cause", Integer),
    Column("sends", Integer, nullable=False),
    instant("sent_wall", null=False),
    instant("answered_wall"),
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
