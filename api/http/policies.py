"""Dunning ladders as documents: a new version each time, the old ones kept."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.http import answers, models
from api.http.problems import Problem, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import catalogue
from billing import policy as policies
from billing.policy import PolicyError

router = APIRouter(tags=["ladder"], responses=responses(401, 403, 422, 503))

Name = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


@router.put(
    "/policies/{name}",
    summary="Write a new version of a dunning ladder",
    description="The document that is already the latest makes no new version.",
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
            document = policies.document(policies.parse(name, version, body))
        except PolicyError as error:
            raise Problem(422, "policy-refused", "The policy is refused", str(error)) from error
        latest = await catalogue.policy_row(uow.connection, name, version - 1)
        if latest is None or latest["document"] != document:
            now = uow.clock.now()
            row = {
                "name": name,
                "version": version,
                "document": document,
                "author": caller.identity.name,
                "created_at": now,
            }
            await catalogue.insert_policy(uow.connection, row)
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
        versions = await catalogue.policy_versions(uow.connection, name)
        wanted = version if version is not None else max(versions, default=0)
        row = await catalogue.policy_row(uow.connection, name, wanted)
    if row is None:
        known = f"its versions are {versions}" if versions else "PUT it to make it"
        raise Problem(
            404, "not-found", "No such policy", f"There is no policy {name} {wanted}; {known}"
        )
    created_at = row["created_at"].astimezone(caller.house.settings.zone)
    return answers.PolicyAnswer(**{**row, "created_at": created_at}, versions=versions)
