"""Policy documents in the database: versions are added, never changed."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.tables import policies
from billing import policy
from billing.policy import Policy

_LATEST = (
    select(policies)
    .ext(distinct_on(policies.c.name))
    .order_by(policies.c.name, policies.c.version.desc())
)


async def latest_policies(connection: AsyncConnection) -> dict[str, Policy]:
    """Every policy in its latest version, by name."""
    rows = await connection.execute(_LATEST)
    return {row.name: policy.parse(row.name, row.version, row.document) for row in rows}


async def ensure_policies(
    connection: AsyncConnection, shipped: Mapping[str, Mapping[str, object]], at: datetime
) -> None:
    """Store shipped documents as version 1 where a name has no version yet.

    Raises:
        billing.policy.PolicyError: a document is refused.
    """
    for name, document in shipped.items():
        checked = policy.document(policy.parse(name, 1, document))
        row = {"version": 1, "document": checked, "author": "shipped", "created_at": at}
        await connection.execute(insert(policies).values(name=name, **row).on_conflict_do_nothing())
