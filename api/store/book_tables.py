"""The table of recomputations: what `religa verify` found, and when."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Integer,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY

from api.store.columns import metadata

book_checks = Table(
    "book_checks",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("at_wall", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("actor", Text, nullable=False),
    Column("differences", Integer, nullable=False),
    # The first of them, as sentences.
    Column("told", ARRAY(Text), nullable=False, server_default="{}"),
    CheckConstraint("differences >= cardinality(told)", name="told"),
)
