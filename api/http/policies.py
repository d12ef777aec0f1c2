"""Dunning ladders as documents: a new version each time, the old ones kept; presets to copy."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import not_, select

from api.http import answers, fields, models
from api.http.cursor import Window, window
from api.http.lists import listed
from api.http.problems import Problem, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import catalogue
from api.store import policies as store
from api.store.access_tables import policies as table
from api.store.ladder_tables import contract_stages
from api.store.uow import Uow
from billing import policy as policies
from billing.policy import PolicyError

router = APIRouter(tags=["ladder"], responses=responses(401, 403, 422, 503))

Name = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


@router.put(
    "/policies/{name}",
    summary="Write a new version of a dunning ladder",
    description="The document that is already the latest makes no new version. `valid_from` puts"
    " its rule off to a day ahead; until then the version before rules. A ladder that softens with"
    " time, whose steps overlap, or that breaks the law it names is refused and nothing is stored."
    " `scope` = `payer` counts what the payer owes on any contract; the law's text leaves it open,"
    " so it is not refused, but Marco Civil art. 7 IV lets a connection be suspended only for debt"
    " of its own use: with consumers keep `contract`, the default."
    " To make one of your own, copy the `document` of a shipped one: `GET"
    " /policies?author=shipped`.",
)
async def write_policy(
    name: Name,
    body: models.PolicyBody,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_POLICIES))],
) -> answers.PolicyAnswer:
    async with caller.uow() as uow:
        await catalogue.lock_policy(uow.connection, name)
        versions = await catalogue.policy_versions(uow.connection, name)
        version = (versions[-1] if versions else 0) + 1
        try:
            checked = policies.parse(name, version, body)
            document = policies.document(checked)
        except PolicyError as error:
            raise _refused(str(error)) from error
        latest = await catalogue.policy_row(uow.connection, name, version - 1)
        if latest is None or _written(name, latest["document"]) != document:
            now = uow.clock.now()
            valid_from = await _first_day(uow, name, checked.valid_from)
            row = {
                "valid_from": valid_from,
                "name": name,
                "version": version,
                "document": document,
                "author": caller.identity.name,
                "created_at": now,
            }
            await catalogue.insert_policy(uow.connection, row)
            looked = 0
            if valid_from <= now.date():
                looked = await catalogue.look_again(uow.connection, name, now)
            await uow.audit(
                "policy.written",
                f"policy:{name}",
                {"version": version, "document": document, "contracts_to_review": looked},
            )
    return await read_policy(name, caller)


@router.get(
    "/policies/{name}",
    summary="Read a dunning ladder, its latest version or another",
    responses=responses(404),
)
async def read_policy(
    name: Name,
    caller: Annotated[Caller, Depends(require(Permission.READ_POLICIES))],
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> answers.PolicyAnswer:
    async with caller.uow() as uow:
        today = uow.clock.now().date()
        versions = await catalogue.policy_versions(uow.connection, name)
        ruling = await store.ruling_version(uow.connection, name, today)
        wanted = version if version is not None else max(versions, default=0)
        row = await catalogue.policy_row(uow.connection, name, wanted)
    if row is None:
        known = f"its versions are {versions}" if versions else "PUT it to make it"
        raise Problem(
            404, "not-found", "No such policy", f"There is no policy {name} {wanted}; {known}"
        )
    created_at = row["created_at"].astimezone(caller.house.settings.zone)
    shown = {**row, "created_at": created_at, "in_force": row["version"] == ruling}
    return answers.PolicyAnswer(**shown, versions=versions)


@router.get(
    "/policies",
    summary="List dunning ladders, every version of each",
    description="`in_force` says which version rules today. Shipped presets have the author"
    " `shipped`: `anatel-765`, `anatel-632`, `simple`, `gentle` and `strict`.",
)
async def list_policies(
    caller: Annotated[Caller, Depends(require(Permission.READ_POLICIES))],
    asked: Annotated[Window, Depends(window)],
    name: Annotated[str | None, Query(max_length=64)] = None,
    author: Annotated[str | None, Query(max_length=200)] = None,
    in_force: bool | None = None,
) -> answers.Page[answers.PolicyItem]:
    rules = store.rules_on(caller.house.clock.now().date())
    query = select(*(c for c in table.c if c.name != "id"), rules.label("in_force"))
    if name is not None:
        query = query.where(table.c.name == name)
    if author is not None:
        query = query.where(table.c.author == author)
    if in_force is not None:
        query = query.where(rules if in_force else not_(rules))
    return await listed(caller, "policies", query, table.c.id, asked, answers.PolicyItem)


@router.get(
    "/stages",
    summary="List what contracts entered beyond the line: rescission, bureau, agency",
    description="Each with the verdict that it was entered by: what counted, by invoice, the notice"
    " that covers it, the policy's version. `open` are those that are not left.",
)
async def list_stages(
    caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))],
    asked: Annotated[Window, Depends(window)],
    stage: Literal["rescind", "bureau", "agency"] | None = None,
    contract_id: Annotated[int | None, Query(ge=1, le=fields.ID_MAX)] = None,
    open: bool | None = None,
) -> answers.Page[answers.StageItem]:
    of = contract_stages.c
    query = select(*(c for c in of if c.name not in ("situation", "correlation_id")))
    if stage is not None:
        query = query.where(of.stage == stage)
    if contract_id is not None:
        query = query.where(of.contract_id == contract_id)
    if open is not None:
        query = query.where(of.left_at.is_(None) if open else of.left_at.is_not(None))
    return await listed(caller, "stages", query, of.id, asked, answers.StageItem)


def _written(name: str, stored: Mapping[str, Any]) -> dict[str, object]:
    """A stored document as it would be written now, with the keys that it did not know."""
    return policies.document(policies.read(name, 1, stored))


async def _first_day(uow: Uow, name: str, valid_from: date | None) -> date:
    """The day from which a new version rules.

    Raises:
        Problem: it is past, or nothing would rule until then.
    """
    today = uow.clock.now().date()
    if valid_from is None:
        return today
    if valid_from < today:
        raise _refused(
            f"valid_from is {valid_from}, and days that are past were ruled already; use {today} or"
            " later, or leave it out"
        )
    ruling = await store.ruling_version(uow.connection, name, today)
    if valid_from > today and ruling is None:
        raise _refused(
            f"no version of policy {name} would rule until {valid_from}; PUT one without valid_from"
            " first"
        )
    return valid_from


def _refused(why: str) -> Problem:
    return Problem(422, "policy-refused", "The policy is refused", why)
