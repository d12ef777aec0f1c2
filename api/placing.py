"""Changes of where and who a customer is: each in one transaction, told to every contract it is of.

None of them cuts by itself: the contracts are due for a look at once, and the review does the rest.
"""

from collections.abc import Mapping, Sequence

from api.store import following, holidays, places
from api.store.following import Move
from api.store.uow import Uow
from billing.local_holidays import LocalHoliday
from billing.place import Place


async def put_address(
    uow: Uow,
    owner: str,
    owner_id: int,
    contract_ids: Sequence[int],
    values: Mapping[str, str | None],
) -> None:
    """Write an address; `owner` and `values` as in `places.put_address`."""
    await places.put_address(uow.connection, owner, owner_id, values)
    await _placed(uow, contract_ids, values)


async def drop_address(uow: Uow, contract_id: int) -> bool:
    """Have a contract be where its subscriber is; whether it was elsewhere."""
    had = await places.drop_address(uow.connection, contract_id)
    if had:
        await _placed(uow, [contract_id], dict.fromkeys(places.ADDRESS))
    return had


async def _placed(uow: Uow, contract_ids: Sequence[int], values: Mapping[str, str | None]) -> None:
    # Street and number stay out of the audit chain, which nothing can ever be removed from.
    told = {name: values[name] for name in ("state", "city_code", "region")}
    for contract_id in contract_ids:
        await uow.audit("contract.placed", f"contract:{contract_id}", told)
    await _follow(uow, contract_ids)
    await places.look_again(uow.connection, contract_ids, uow.clock.now())


async def put_class(uow: Uow, name: str, never_block: bool, note: str, policy: str | None) -> None:
    """Write a customer class, and have its members' contracts be as it says."""
    before = await following.class_named(uow.connection, name)
    now = uow.clock.now()
    await following.put_class(uow.connection, name, never_block, note, uow.actor, now)
    await following.assign(uow.connection, "class", name, policy, uow.actor, now)
    told = {"never_block": never_block, "note": note, "policy": policy}
    await uow.audit("class.written", f"class:{name}", told)
    members = await following.contracts_in(uow.connection, "class", name)
    if before is not None and before["never_block"] != never_block:
        await _classed(uow, members, name, never_block, note)
    await _follow(uow, members)


async def put_into_class(uow: Uow, subscriber_id: int, name: str | None, reason: str) -> None:
    """Put a subscriber into a class, or (None) into none.

    Raises:
        LookupError: there is no such class.
    """
    found = await following.class_named(uow.connection, name) if name is not None else None
    if name is not None and found is None:
        raise LookupError(f"there is no class {name!r}; PUT /api/v1/classes/{name} makes it")
    await following.put_into_class(
        uow.connection,
        subscriber_id,
        found["id"] if found is not None else None,
        reason,
        uow.actor,
        uow.clock.now(),
    )
    told = {"customer_class": name, "reason": reason}
    await uow.audit("subscriber.classed", f"subscriber:{subscriber_id}", told)
    contract_ids = await places.contracts_of(uow.connection, subscriber_id)
    never_block = found is not None and bool(found["never_block"])
    await _classed(uow, contract_ids, name, never_block, reason)
    await _follow(uow, contract_ids)


async def _classed(
    uow: Uow, contract_ids: Sequence[int], name: str | None, never_block: bool, reason: str
) -> None:
    told = {"customer_class": name, "never_block": never_block, "reason": reason}
    for contract_id in contract_ids:
        await uow.audit("contract.classed", f"contract:{contract_id}", told)
    await places.look_again(uow.connection, contract_ids, uow.clock.now())


async def assign(uow: Uow, scope: str, key: str, policy: str | None) -> list[Move]:
    """Say which policy a class, a region or a plan follows; the contracts that move by it."""
    await following.assign(uow.connection, scope, key, policy, uow.actor, uow.clock.now())
    moves = await _follow(uow, await following.contracts_in(uow.connection, scope, key))
    told = {"policy": policy, "contracts": len(moves)}
    await uow.audit("policy.assigned", f"policy-assignment:{scope}:{key}", told)
    return moves


async def plan_assignment(uow: Uow, scope: str, key: str, policy: str | None) -> list[Move]:
    """Which contracts would move; changes nothing."""
    tried = await uow.connection.begin_nested()
    await following.assign(uow.connection, scope, key, policy, uow.actor, uow.clock.now())
    contract_ids = await following.contracts_in(uow.connection, scope, key)
    moves = await following.astray(uow.connection, contract_ids)
    await tried.rollback()
    return moves


async def choose(uow: Uow, contract_id: int, policy: str | None) -> None:
    """Give a contract a policy of its own, or (None) have it follow again."""
    before = await following.followed(uow.connection, contract_id)
    await places.lock_payers(uow.connection, [contract_id])
    await following.choose(uow.connection, contract_id, policy)
    await uow.audit("contract.policy_chosen", f"contract:{contract_id}", {"policy": policy})
    if policy is None:
        await _follow(uow, [contract_id])
    elif before is not None and before.policy != policy:
        moves = [Move(contract_id, before.policy, policy, "contract")]
        await following.tell(uow.connection, moves, uow.clock.now(), uow.actor)


async def follow_new(uow: Uow, contract_id: int) -> str:
    """The policy that a contract without one of its own begins with."""
    await following.settle_new(uow.connection, [contract_id])
    found = await following.followed(uow.connection, contract_id)
    return found.policy if found is not None else following.DEFAULT_POLICY


async def put_holidays(
    uow: Uow, place: Place, year: int, days: Sequence[LocalHoliday], own: Place
) -> int:
    """Write a place's holidays of a year; how many contracts are due for a look because of it."""
    now = uow.clock.now()
    sheet_id = await holidays.write_sheet(uow.connection, place, year, days, uow.actor, now)
    bound = await places.contracts_at(uow.connection, place, own)
    looked = await places.look_again(uow.connection, bound, now)
    told = {
        "sheet_id": sheet_id,
        "state": place.state,
        "city_code": place.city_code,
        "year": year,
        "days": [day.on.isoformat() for day in days],
        "contracts_to_review": looked,
    }
    await uow.audit("holidays.written", f"holidays:{place.city_code or place.state or 'BR'}", told)
    return looked


async def _follow(uow: Uow, contract_ids: Sequence[int]) -> list[Move]:
    return await following.settle(uow.connection, contract_ids, uow.clock.now(), uow.actor)
