"""Guards and kill switches: what holds cuts back now, and switching them off and on."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AfterValidator
from sqlalchemy import and_, literal, select

from api import guards, kill_switch
from api.guard_words import blind_for
from api.http import fields
from api.http.answers import Page
from api.http.cursor import Window, window
from api.http.guard_models import (
    BooksAnswer,
    FeedAnswer,
    GuardsAnswer,
    RetireFeed,
    SwitchAnswer,
    SwitchFileAnswer,
    SwitchLifted,
    SwitchOff,
    SwitchPut,
)
from api.http.ladder import AcceptLanguage, AskedLang, spoken
from api.http.lists import listed, unknown
from api.http.problems import Problem, conflict, responses
from api.http.security import Caller, require
from api.kill_switch import EVERYTHING
from api.operators import Permission
from api.store import book_rows, guard_rows, listing, plan_rows
from api.store.customer_tables import contracts, nases
from api.store.guard_rows import Place
from api.store.guard_tables import kill_switches
from billing.guard import bars, blindness, sweep_bound, window_max

router = APIRouter(tags=["guards"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
Reading = Annotated[Caller, Depends(require(Permission.READ_CONTRACTS))]
Switching = Annotated[Caller, Depends(require(Permission.SET_KILL_SWITCHES))]
Releasing = Annotated[Caller, Depends(require(Permission.RELEASE_REVIEWS))]
Why = Annotated[
    str, Query(min_length=1, max_length=500, alias="reason"), AfterValidator(fields.no_controls)
]
Provider = Annotated[str, Path(pattern="^[a-z0-9_-]{1,64}$")]

_SWITCH = [column for column in kill_switches.c if column.name != "put_wall"]


@router.get("/guards", summary="What holds cuts back now")
async def read_guards(
    caller: Reading, lang: AskedLang = None, accepted: AcceptLanguage = ""
) -> GuardsAnswer:
    limits, file = caller.house.settings.limits, caller.house.switch_file
    async with caller.uow() as uow:
        sight = await uow.sight()
        weekday_cuts = await guards.usual(uow)
        waiting = await plan_rows.waiting_cuts(uow.connection)
        books = await book_rows.last(uow.connection)
    zone = caller.house.settings.zone
    most, by = sweep_bound(sight.active, limits, weekday_cuts)
    blind = [flaw.value for flaw in blindness(sight, limits)]
    note = file.read()
    return GuardsAnswer(
        now=sight.now,
        bars=[bar.value for bar in bars(sight, limits)],
        flaws=blind,
        sentences=blind_for(lang or spoken(accepted), blind),
        active=sight.active,
        cuts_in_window=sight.cuts_in_window,
        sweep_max=most,
        sweep_max_by=by.value,
        weekday_cuts=list(weekday_cuts),
        window_max=window_max(sight.active, limits),
        waiting=waiting,
        switch_file=SwitchFileAnswer(path=str(file.path), author=note.author, reason=note.reason)
        if note is not None
        else None,
        books=books
        and BooksAnswer(
            at=books.at.astimezone(zone),
            actor=books.actor,
            differences=books.differences,
            told=list(books.told) if caller.may(Permission.READ_DEBT) else None,
        ),
        clock_seen_at=sight.seen_at and sight.seen_at.astimezone(zone),
        feeds=[
            FeedAnswer(
                provider=name,
                heard_at=at.astimezone(zone),
                stale=_age(sight.now, at) > limits.feed_age_max,
                set_up=name in caller.house.providers,
            )
            for name, at in sorted(sight.heard_at.items())
        ],
    )


@router.put(
    "/guards/feeds/{provider}/retirement",
    summary="Wait no more for the news of a payment provider that is used no more",
    description="Not one that this server asks. Should it be heard of again, it counts again.",
    responses=responses(404, 409),
    status_code=204,
)
async def retire_feed(provider: Provider, body: RetireFeed, caller: Releasing) -> None:
    if provider in caller.house.providers:
        raise conflict(
            "feed-in-use",
            "This server asks that payment provider",
            f"what {provider} does not answer is not known, so nobody is cut; see that it answers,"
            " or take it out of the settings first",
        )
    async with caller.uow() as uow:
        if not await guard_rows.retire(uow.connection, provider, uow.clock.now()):
            raise Problem(
                404,
                "not-found",
                "No such payment provider",
                f"{provider} was never heard of, or is retired; GET /api/v1/guards lists the feeds",
            )
        await uow.audit("feed.retired", f"feed:{provider}", {"reason": body.reason})


@router.get("/kill-switches", summary="List kill switches, those that are on and those lifted")
async def list_switches(
    asked: Annotated[Window, Depends(window)], caller: Reading, on: bool | None = None
) -> Page[SwitchAnswer]:
    # The file stops everything, so it is told of where that switch is.
    everything = and_(kill_switches.c.scope == "global", kill_switches.c.lifted_at.is_(None))
    stands = literal(caller.house.switch_file.stands())
    query = select(*_SWITCH, and_(everything, stands).label("file_stands"))
    if on is not None:
        lifted = kill_switches.c.lifted_at
        query = query.where(lifted.is_(None) if on else lifted.is_not(None))
    return await listed(caller, "kill-switches", query, kill_switches.c.id, asked, SwitchAnswer)


@router.put(
    "/kill-switches/global",
    summary="Stop every cut at once; restores go on",
    description="Cuts that were decided and have reached no line are taken back.",
)
async def stop_all(body: SwitchOff, caller: Switching) -> SwitchPut:
    return await _put(caller, EVERYTHING, body)


@router.put(
    "/kill-switches/nas/{id}",
    summary="Stop the cuts of the lines on one NAS",
    responses=responses(404),
)
async def stop_nas(id: Id, body: SwitchOff, caller: Switching) -> SwitchPut:
    async with caller.uow() as uow:
        if await uow.connection.scalar(select(nases.c.id).where(nases.c.id == id)) is None:
            raise unknown("nas", id)
    return await _put(caller, Place("nas", nas_id=id), body)


@router.put(
    "/kill-switches/contracts/{id}",
    summary="Stop the cuts of one contract",
    responses=responses(404),
)
async def stop_contract(id: Id, body: SwitchOff, caller: Switching) -> SwitchPut:
    async with caller.uow() as uow:
        query = select(contracts.c.id).where(contracts.c.id == id)
        if await uow.connection.scalar(query) is None:
            raise unknown("contract", id)
    return await _put(caller, Place("contract", contract_id=id), body)


@router.delete(
    "/kill-switches/global",
    summary="Let cuts go on: whoever the switch held is looked at again",
    responses=responses(404, 409),
)
async def lift_all(reason: Why, caller: Switching) -> SwitchLifted:
    file = caller.house.switch_file
    if file.stands():
        raise conflict(
            "switch-file-stands",
            "The kill switch is a file too",
            f"{file.path} stands on this machine and stops all cuts; run `religa kill-switch lift`"
            " there, or remove it and ask again",
        )
    return await _lift(caller, EVERYTHING, reason)


@router.delete(
    "/kill-switches/nas/{id}",
    summary="Let the cuts of the lines on one NAS go on",
    responses=responses(404),
)
async def lift_nas(id: Id, reason: Why, caller: Switching) -> SwitchLifted:
    return await _lift(caller, Place("nas", nas_id=id), reason)


@router.delete(
    "/kill-switches/contracts/{id}",
    summary="Let the cuts of one contract go on",
    responses=responses(404),
)
async def lift_contract(id: Id, reason: Why, caller: Switching) -> SwitchLifted:
    return await _lift(caller, Place("contract", contract_id=id), reason)


async def _put(caller: Caller, place: Place, body: SwitchOff) -> SwitchPut:
    async with caller.uow() as uow:
        made = await kill_switch.put(uow, place, body.reason)
    # Committed: from here on no cut is decided or sent under it.
    taken = await kill_switch.take_back_unsent(
        caller.house, place, caller.correlation_id, caller.identity.name
    )
    async with caller.uow() as uow:
        row = await listing.one(
            uow.connection,
            select(*_SWITCH),
            kill_switches.c.id,
            made.switch_id,
            caller.house.settings.zone,
        )
    return SwitchPut.model_validate({**(row or {}), "taken_back": taken})


async def _lift(caller: Caller, place: Place, reason: str) -> SwitchLifted:
    async with caller.uow() as uow:
        try:
            looked = await kill_switch.lift(uow, place, reason)
        except kill_switch.NotSwitched as error:
            raise Problem(404, "not-found", "No such kill switch", str(error)) from error
    return SwitchLifted(contracts_to_review=looked)


def _age(now: datetime, at: datetime) -> timedelta:
    return now - at.astimezone(now.tzinfo)
