"""How Alembic reaches the database: one connection, one transaction, one migrator at a time."""

from alembic import context
from sqlalchemy import create_engine, func, select
from sqlalchemy.pool import NullPool

from api.store import (  # noqa: F401 -- all that have tables
    access_tables,
    billing_tables,
    book_tables,
    credit_tables,
    customer_tables,
    guard_tables,
    ladder_tables,
    message_tables,
    money_tables,
    network_tables,
    outbox_tables,
    place_tables,
    recovery,
    renegotiation,
    staff_tables,
)
from api.store.columns import metadata

# Any fixed number: the name of the lock that migrating takes.
_LOCK = 0x52454C4D


def _run() -> None:
    engine = create_engine(context.config.attributes["url"], poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata, compare_type=True)
        with context.begin_transaction():
            # Held to the end of the transaction; whoever waited then finds nothing left to do.
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            context.run_migrations()


_run()
