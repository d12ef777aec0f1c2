"""Outages: told, with whom they hit, and ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, func, insert, select, update

from api.renegotiating import UnknownRow
from api.store import places
from api.store.billing_tables import outage_contracts, outages
from api.store.customer_tables import contracts, nases
from api.store.network_tables import sessions
from api.store.uow import Uow
from billing.payer import Refused
from billing.place import COUNTRY, Place


@dataclass(frozen=True, slots=True)
class Hit:
    """Whom an outage hit: everyone that any of these names."""

    contract_ids: Sequence[int] = ()
    nas_id: int | None = None
    region: str | None = None
    place: Place = COUNTRY


async def tell(
    uow: Uow, started_at: datetime, ended_at: datetime | None, reason: str, hit: Hit, own: Place
) -> tuple[int, int]:
    """Keep an outage; its number, and how many contracts it hit.

    Args:
        uow: the transaction.
        started_at: when it began.
        ended_at: None: it goes on.
        reason: what broke.
        hit: whom.
        own: where the provider is, and with it whoever has no address.

    Raises:
        Refused: it hit nobody, or names a contract or a NAS that is none.
    """
    found = await _whom(uow, hit, own)
    values = {"started_at": started_at, "ended_at": ended_at, "reason": reason}
    made = await uow.connection.execute(
        insert(outages).values(**values, author=uow.actor).returning(outages.c.id)
    )
    outage_id = int(made.scalar_one())
    rows = [{"outage_id": outage_id, "contract_id": number} for number in sorted(found)]
    await uow.connection.execute(insert(outage_contracts), rows)
    told = {
        "started_at": started_at.isoformat(),
        "ended_at": ended_at.isoformat() if ended_at is not None else None,
        "reason": reason,
        "nas_id": hit.nas_id,
        "region": hit.region,
        "state": hit.place.state,
        "city_code": hit.place.city_code,
        "contracts": len(found),
    }
    await uow.audit("outage.told", f"outage:{outage_id}", told)
    return outage_id, len(found)


async def end(uow: Uow, outage_id: int, ended_at: datetime) -> tuple[int, int]:
    """End an outage; how many it had hit, and how many of them are due for a look.

    Raises:
        UnknownRow: there is no such outage.
        Refused: it has ended, or would end before it began or ahead of now.
    """
    query = select(outages).where(outages.c.id == outage_id).with_for_update()
    row = (await uow.connection.execute(query)).one_or_none()
    if row is None:
        raise UnknownRow(f"there is no outage {outage_id}")
    if row.ended_at is not None:
        raise Refused(f"outage {outage_id} ended at {row.ended_at.astimezone(ended_at.tzinfo)}")
    now = uow.clock.now()
    if not row.started_at < ended_at.astimezone(UTC) <= now.astimezone(UTC):
        raise Refused("an outage ends after it began, and not ahead of now; give another ended_at")
    await uow.connection.execute(
        update(outages).where(outages.c.id == outage_id).values(ended_at=ended_at)
    )
    hit = select(outage_contracts.c.contract_id).where(outage_contracts.c.outage_id == outage_id)
    contract_ids = (await uow.connection.scalars(hit)).all()
    looked = await places.look_again(uow.connection, contract_ids, now)
    told = {"ended_at": ended_at.isoformat(), "contracts_to_review": looked}
    await uow.audit("outage.ended", f"outage:{outage_id}", told)
    return len(contract_ids), looked


def rows(running: bool | None = None, contract_id: int | None = None) -> Select[Any]:
    """Outages, each with how many contracts it hit."""
    hit = (
        select(func.count())
        .where(outage_contracts.c.outage_id == outages.c.id)
        .correlate(outages)
        .scalar_subquery()
    )
    query = select(outages, hit.label("contracts"))
    if running is not None:
        ended = outages.c.ended_at
        query = query.where(ended.is_(None) if running else ended.is_not(None))
    if contract_id is not None:
        of_it = select(outage_contracts.c.outage_id).filter_by(contract_id=contract_id)
        query = query.where(outages.c.id.in_(of_it))
    return query


async def _whom(uow: Uow, hit: Hit, own: Place) -> set[int]:
    running = select(contracts.c.id).where(contracts.c.ended_on.is_(None))
    asked = running.where(contracts.c.id.in_(list(hit.contract_ids)))
    found = set(await uow.connection.scalars(asked))
    missing = set(hit.contract_ids) - found
    if missing:
        raise Refused(f"no running contracts {', '.join(map(str, sorted(missing)))}")
    if hit.nas_id is not None:
        nas = select(nases.c.id).where(nases.c.id == hit.nas_id)
        if await uow.connection.scalar(nas) is None:
            raise Refused(f"there is no NAS {hit.nas_id}; GET /api/v1/nas lists them")
        on_it = select(sessions.c.contract_id).where(sessions.c.nas_id == hit.nas_id)
        found |= set(await uow.connection.scalars(running.where(contracts.c.id.in_(on_it))))
    if hit.region is not None:
        found |= set(await places.contracts_in_region(uow.connection, hit.region))
    if hit.place != COUNTRY:
        found |= set(await places.contracts_at(uow.connection, hit.place, own))
    if not found:
        raise Refused("nobody was hit; give contracts, a NAS that had sessions, a region or a city")
    return found
