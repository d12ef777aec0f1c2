"""Who works here, and the housekeeping of the shell: the audit chain, single facts."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from api.store.columns import instant, metadata, own_id, reference

operators = Table(
    "operators",
    metadata,
    own_id(),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text),
    instant("created_at", null=False),
    instant("disabled_at"),
    CheckConstraint("role in ('admin', 'noc', 'finance', 'auditor')", name="role"),
)

tokens = Table(
    "tokens",
    metadata,
    own_id(),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    reference("operator_id", "operators.id", null=True),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    instant("created_at", null=False),
    instant("expires_at"),
    instant("revoked_at"),
    CheckConstraint("role in ('admin', 'noc', 'finance', 'auditor', 'agency')", name="role"),
)

login_failures = Table(
    "login_failures",
    metadata,
    own_id(),
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

audit_log = Table(
    "audit_log",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("version", SmallInteger, nullable=False),
    instant("at", null=False),
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
