"""The tables of the ladder beyond the line: rescissions, bureaus, agencies, entered and left."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from api.store.columns import metadata

_OPEN = text("left_at is null")

# One row each time that a contract enters a stage. Whoever acts on it (the contract's end, bureaus,
# agencies) looks for rows that are open, or that were left since.
contract_stages = Table(
    "contract_stages",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), nullable=False),
    Column("stage", Text, nullable=False),
    Column("entered_at", DateTime(timezone=True), nullable=False),
    # The verdict: what counted, by invoice, and the notice that covers it.
    Column("invoice_ids", ARRAY(BigInteger), nullable=False),
    Column("amounts_cents", ARRAY(BigInteger), nullable=False),
    Column("counted_cents", BigInteger, nullable=False),
    Column("notice_id", BigInteger, ForeignKey("notices.id")),
    Column("policy", Text, nullable=False),
    Column("policy_version", Integer, nullable=False),
    # The situation that was judged, so that `religa verify` can judge it again.
    Column("situation", JSONB, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("left_at", DateTime(timezone=True)),
    Column("left_reason", Text),
    CheckConstraint("stage in ('rescind', 'bureau', 'agency')", name="stage"),
    CheckConstraint("(left_at is null) = (left_reason is null)", name="left"),
    Index("uq_contract_stages_open", "contract_id", "stage", unique=True, postgresql_where=_OPEN),
    Index("ix_contract_stages_open", "stage", "id", postgresql_where=_OPEN),
)
