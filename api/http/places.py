"""Where customers are: the address of a subscriber, and of a contract that is elsewhere."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel

from api import placing
from api.http import fields, models
from api.http.lists import unknown
from api.http.problems import responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import catalogue, listing, places
from api.store.place_tables import addresses
from api.store.uow import UnknownContract, Uow

router = APIRouter(tags=["places"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
Reading = Annotated[Caller, Depends(require(Permission.READ_SUBSCRIBERS))]


class AddressAnswer(BaseModel):
    """`of` says whose it is: a contract without one is where its subscriber is.

    Where neither has a state, the provider's own state and city say which holidays bind cuts.
    """

    of: Literal["contract", "subscriber", "provider"]
    cep: str | None = None
    street: str | None = None
    number: str | None = None
    complement: str | None = None
    district: str | None = None
    city: str | None = None
    city_code: str | None = None
    state: str | None = None
    region: str | None = None


@router.put(
    "/subscribers/{id}/address",
    summary="Write where a subscriber is",
    description="The contracts that are there are looked at anew: other holidays may bind them.",
    responses=responses(404),
)
async def write_subscriber_address(
    id: Id,
    body: models.NewAddress,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_SUBSCRIBERS))],
) -> AddressAnswer:
    async with caller.uow() as uow:
        if not await catalogue.exists(uow.connection, "subscribers", id):
            raise unknown("subscriber", id)
        contract_ids = await places.contracts_at_home(uow.connection, id)
        await placing.put_address(uow, "subscriber_id", id, contract_ids, body.address())
        await uow.audit("subscriber.placed", f"subscriber:{id}", {"region": body.region})
        return await _of_subscriber(caller, uow, id)


@router.get(
    "/subscribers/{id}/address", summary="Read where a subscriber is", responses=responses(404)
)
async def read_subscriber_address(id: Id, caller: Reading) -> AddressAnswer:
    async with caller.uow() as uow:
        if not await catalogue.exists(uow.connection, "subscribers", id):
            raise unknown("subscriber", id)
        return await _of_subscriber(caller, uow, id)


@router.put(
    "/contracts/{id}/address",
    summary="Write where a contract is that is not where its subscriber is",
    responses=responses(404),
)
async def write_contract_address(
    id: Id,
    body: models.NewAddress,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_CONTRACTS))],
) -> AddressAnswer:
    async with caller.uow() as uow:
        await _payer(uow, id)
        await placing.put_address(uow, "contract_id", id, [id], body.address())
        return await _of_contract(caller, uow, id)


@router.get(
    "/contracts/{id}/address",
    summary="Read where a contract is, and by whose address",
    responses=responses(404),
)
async def read_contract_address(id: Id, caller: Reading) -> AddressAnswer:
    async with caller.uow() as uow:
        return await _of_contract(caller, uow, id)


@router.delete(
    "/contracts/{id}/address",
    status_code=204,
    summary="Have a contract be where its subscriber is",
    responses=responses(404),
)
async def drop_contract_address(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.WRITE_CONTRACTS))]
) -> Response:
    async with caller.uow() as uow:
        await _payer(uow, id)
        await placing.drop_address(uow, id)
    return Response(status_code=204)


async def _payer(uow: Uow, contract_id: int) -> int:
    try:
        return await uow.payer_of_contract(contract_id)
    except UnknownContract as error:
        raise unknown("contract", contract_id) from error


async def _of_contract(caller: Caller, uow: Uow, contract_id: int) -> AddressAnswer:
    payer = await _payer(uow, contract_id)
    zone = caller.house.settings.zone
    query = places.address_rows()
    found = await listing.one(uow.connection, query, addresses.c.contract_id, contract_id, zone)
    if found is None:
        return await _of_subscriber(caller, uow, payer)
    return AddressAnswer(of="contract", **{name: found[name] for name in places.ADDRESS})


async def _of_subscriber(caller: Caller, uow: Uow, subscriber_id: int) -> AddressAnswer:
    zone = caller.house.settings.zone
    query = places.address_rows()
    found = await listing.one(uow.connection, query, addresses.c.subscriber_id, subscriber_id, zone)
    if found is None:
        own = caller.house.calendar.place
        return AddressAnswer(
            of="provider", state=own.state or None, city_code=own.city_code or None
        )
    return AddressAnswer(of="subscriber", **{name: found[name] for name in places.ADDRESS})
