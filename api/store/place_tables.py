"""The tables of where and who a customer is: addresses, local holidays, classes, who follows what.

A contract without an address of its own is where its subscriber is.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from api.store.columns import metadata, own_id


def _written() -> tuple[Column[str], Column[object]]:
    return (
        Column("author", Text, nullable=False),
        Column("written_at", DateTime(timezone=True), nullable=False),
    )


addresses = Table(
    "addresses",
    metadata,
    own_id(),
    Column("subscriber_id", BigInteger, ForeignKey("subscribers.id"), unique=True),
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), unique=True),
    Column("cep", String(8)),
    Column("street", Text),
    Column("number", Text),
    Column("complement", Text),
    Column("district", Text),
    Column("city", Text),
    # IBGE's; together with the state it says whose holidays bind cuts.
    Column("city_code", String(7)),
    Column("state", String(2)),
    # The provider's own name, for totals and policies.
    Column("region", Text),
    CheckConstraint("num_nonnulls(subscriber_id, contract_id) = 1", name="whose"),
    CheckConstraint("cep ~ '^[0-9]{8}$'", name="cep"),
    CheckConstraint(
        "city_code is null or (city_code ~ '^[0-9]{7}$' and state is not null)", name="city_code"
    ),
    CheckConstraint("state ~ '^[A-Z]{2}$'", name="state"),
    Index("ix_addresses_city", "state", "city_code"),
    Index("ix_addresses_region", "region", postgresql_where=text("region is not null")),
)

# The holidays of a place in a year. Rows are added, never changed: the newest of a place and year
# holds, and a decision that an older one bound can be judged again. Written under one lock, so that
# a greater id is a later commit.
holiday_sheets = Table(
    "holiday_sheets",
    metadata,
    own_id(),
    # Both empty: the whole country; no city: the state.
    Column("state", String(2), nullable=False),
    Column("city_code", String(7), nullable=False),
    Column("year", SmallInteger, nullable=False),
    # [{"on": ..., "name": ...}], in order
    Column("days", JSONB, nullable=False),
    *_written(),
    CheckConstraint("city_code = '' or state <> ''", name="place"),
)

customer_classes = Table(
    "customer_classes",
    metadata,
    own_id(),
    Column("name", Text, nullable=False, unique=True),
    Column("never_block", Boolean, nullable=False),
    Column("note", Text, nullable=False),
    *_written(),
)

subscriber_classes = Table(
    "subscriber_classes",
    metadata,
    Column("subscriber_id", BigInteger, ForeignKey("subscribers.id"), primary_key=True),
    Column("class_id", BigInteger, ForeignKey("customer_classes.id"), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    *_written(),
    CheckConstraint("length(reason) > 0", name="reason"),
)

# Which policy the contracts of a class, a region or a plan follow.
policy_assignments = Table(
    "policy_assignments",
    metadata,
    own_id(),
    Column("scope", Text, nullable=False),
    # The class's name, the region's name or the plan's number.
    Column("key", Text, nullable=False),
    Column("policy", Text, nullable=False),
    *_written(),
    UniqueConstraint("scope", "key"),
    CheckConstraint("scope in ('class', 'region', 'plan')", name="scope"),
)

# Contracts that came to follow another policy. One change may move all of them, so that they are
# told here and counted in the audit log.
policy_moves = Table(
    "policy_moves",
    metadata,
    own_id(),
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), nullable=False, index=True),
    Column("before", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("because", Text, nullable=False),
    *_written(),
)
