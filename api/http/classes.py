"""Customer classes, who is in them, and which policy a contract follows."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field, model_validator

from api import placing
from api.http import answers, fields, models
from api.http.cursor import Window, window
from api.http.lists import listed, unknown
from api.http.problems import conflict, invalid, not_found, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import catalogue, following, places
from api.store.place_tables import customer_classes, policy_assignments
from api.store.policies import policies_on
from api.store.uow import Uow

router = APIRouter(tags=["places"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
ClassName = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Asked = Annotated[Window, Depends(window)]
Reading = Annotated[Caller, Depends(require(Permission.READ_POLICIES))]
Writing = Annotated[Caller, Depends(require(Permission.WRITE_POLICIES))]
Scope = Literal["class", "region", "plan"]


class NewClass(models.Body):
    model_config = models.example(
        {"never_block": True, "note": "hospitais: a linha serve ao atendimento", "policy": None}
    )

    never_block: Annotated[bool, Field(strict=True)] = False
    note: models.Why
    # What its members follow who have no policy of their own; null: their region's or plan's.
    policy: fields.Words | None = None


class ClassAnswer(BaseModel):
    id: int
    name: str
    never_block: bool
    policy: str | None
    note: str
    author: str
    written_at: datetime


class Membership(models.Body):
    model_config = models.example({"customer_class": "hospital", "reason": "pronto-socorro 24 h"})

    # null: of no class.
    customer_class: fields.Name | None
    reason: models.Why


class MembershipAnswer(BaseModel):
    """Everything but the numbers is null for a subscriber of no class."""

    subscriber_id: int
    contract_ids: list[int]
    customer_class: str | None = None
    never_block: bool | None = None
    reason: str | None = None
    author: str | None = None
    since: datetime | None = None


class NewAssignment(models.Body):
    """One of plan_id, region and customer_class follows a policy; null: none of its own any more.

    With dry_run nothing is changed, and the answer says which contracts would move.
    """

    model_config = models.example({"region": "centro", "policy": "anatel-765", "dry_run": True})

    plan_id: fields.Id | None = None
    region: fields.Name | None = None
    customer_class: fields.Name | None = None
    policy: fields.Words | None
    dry_run: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _names_one(self) -> "NewAssignment":
        if [self.plan_id, self.region, self.customer_class].count(None) != 2:
            raise ValueError("give plan_id, region or customer_class, one of them")
        return self

    def subject(self) -> tuple[Scope, str]:
        """What follows, and which one."""
        if self.plan_id is not None:
            return "plan", str(self.plan_id)
        return (
            ("class", self.customer_class) if self.customer_class else ("region", self.region or "")
        )


class PolicyMove(BaseModel):
    contract_id: int
    before: str
    after: str


class AssignmentMade(BaseModel):
    """`contracts` is how many move; each is in `moves`."""

    dry_run: bool
    scope: Scope
    key: str
    policy: str | None
    contracts: int
    moves: list[PolicyMove]


class AssignmentAnswer(BaseModel):
    id: int
    scope: Scope
    key: str
    policy: str
    author: str
    written_at: datetime


class Choice(models.Body):
    model_config = models.example({"policy": "simple"})

    # null: follow class, region, plan or the one that all are given.
    policy: fields.Words | None


class FollowedAnswer(BaseModel):
    """`because` says whose choice it is: the contract's own, its class's, region's or plan's.

    `key` is the class's or region's name, or the plan's number.
    """

    contract_id: int
    policy: str
    version: int
    because: Literal["contract", "class", "region", "plan", "default"]
    key: str | None


@router.put("/classes/{name}", summary="Write a customer class; members follow it at once")
async def write_class(name: ClassName, body: NewClass, caller: Writing) -> ClassAnswer:
    async with caller.uow() as uow:
        await _known_policy(uow, body.policy)
        await placing.put_class(uow, name, body.never_block, body.note, body.policy)
        return await _shown_class(caller, uow, name)


@router.get("/classes", summary="List customer classes")
async def list_classes(asked: Asked, caller: Reading) -> answers.Page[ClassAnswer]:
    query = following.class_rows()
    return await listed(caller, "classes", query, customer_classes.c.id, asked, ClassAnswer)


@router.get("/classes/{name}", summary="Read a customer class", responses=responses(404))
async def read_class(name: ClassName, caller: Reading) -> ClassAnswer:
    async with caller.uow() as uow:
        return await _shown_class(caller, uow, name)


@router.put(
    "/subscribers/{id}/class",
    summary="Put a subscriber into a class, or into none, with a reason",
    responses=responses(404),
)
async def write_membership(id: Id, body: Membership, caller: Writing) -> MembershipAnswer:
    async with caller.uow() as uow:
        if not await catalogue.exists(uow.connection, "subscribers", id):
            raise unknown("subscriber", id)
        try:
            await placing.put_into_class(uow, id, body.customer_class, body.reason)
        except LookupError as error:
            raise invalid("customer_class", str(error)) from error
        return await _membership(caller, uow, id)


@router.get(
    "/subscribers/{id}/class", summary="Read a subscriber's class", responses=responses(404)
)
async def read_membership(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_SUBSCRIBERS))]
) -> MembershipAnswer:
    async with caller.uow() as uow:
        if not await catalogue.exists(uow.connection, "subscribers", id):
            raise unknown("subscriber", id)
        return await _membership(caller, uow, id)


@router.put(
    "/policy-assignments",
    summary="Say which policy a class, a region or a plan follows, or show whom that would move",
)
async def write_assignment(body: NewAssignment, caller: Writing) -> AssignmentMade:
    scope, key = body.subject()
    async with caller.uow() as uow:
        await _known_policy(uow, body.policy)
        if scope == "class" and await following.class_named(uow.connection, key) is None:
            raise invalid("customer_class", f"there is no class {key!r}; PUT /api/v1/classes/{key}")
        if body.plan_id is not None and not await catalogue.exists(
            uow.connection, "plans", body.plan_id
        ):
            raise invalid("plan_id", f"there is no plan {key}; GET /api/v1/plans has them")
        change = placing.plan_assignment if body.dry_run else placing.assign
        moves = await change(uow, scope, key, body.policy)
    return AssignmentMade(
        dry_run=body.dry_run,
        scope=scope,
        key=key,
        policy=body.policy,
        contracts=len(moves),
        moves=[
            PolicyMove(contract_id=move.contract_id, before=move.before, after=move.after)
            for move in moves
        ],
    )


@router.get("/policy-assignments", summary="List which policy classes, regions and plans follow")
async def list_assignments(
    asked: Asked, caller: Reading, scope: Scope | None = None
) -> answers.Page[AssignmentAnswer]:
    query = following.assignment_rows(scope)
    key = policy_assignments.c.id
    return await listed(caller, "policy-assignments", query, key, asked, AssignmentAnswer)


@router.get(
    "/contracts/{id}/policy",
    summary="Which policy a contract follows, and why",
    responses=responses(404),
)
async def read_followed(id: Id, caller: Reading) -> FollowedAnswer:
    async with caller.uow() as uow:
        return await _followed(uow, id)


@router.put(
    "/contracts/{id}/policy",
    summary="Give a contract a policy of its own, or have it follow again",
    responses=responses(404, 409),
)
async def choose_policy(id: Id, body: Choice, caller: Writing) -> FollowedAnswer:
    async with caller.uow() as uow:
        await _followed(uow, id)
        await _known_policy(uow, body.policy)
        await placing.choose(uow, id, body.policy)
        return await _followed(uow, id)


async def _known_policy(uow: Uow, name: str | None) -> None:
    if name is not None and not await catalogue.policy_exists(uow.connection, name):
        raise invalid("policy", f"there is no policy {name!r}; PUT /api/v1/policies/ makes it")


async def _shown_class(caller: Caller, uow: Uow, name: str) -> ClassAnswer:
    found = await following.class_named(uow.connection, name)
    if found is None:
        raise not_found("class", name, "/api/v1/classes")
    written_at = found["written_at"].astimezone(caller.house.settings.zone)
    return ClassAnswer(**{**found, "written_at": written_at})


async def _membership(caller: Caller, uow: Uow, subscriber_id: int) -> MembershipAnswer:
    contract_ids = list(await places.contracts_of(uow.connection, subscriber_id))
    found = await following.class_of(uow.connection, subscriber_id)
    if found is None:
        return MembershipAnswer(subscriber_id=subscriber_id, contract_ids=contract_ids)
    since = found["since"].astimezone(caller.house.settings.zone)
    return MembershipAnswer(
        subscriber_id=subscriber_id, contract_ids=contract_ids, **{**found, "since": since}
    )


async def _followed(uow: Uow, contract_id: int) -> FollowedAnswer:
    found = await following.followed(uow.connection, contract_id)
    if found is None:
        raise unknown("contract", contract_id)
    policy = (await policies_on(uow.connection, uow.clock.now().date())).get(found.policy)
    if policy is None:
        raise conflict(
            "policy-gone",
            "The policy does not exist",
            f"contract {contract_id} follows {found.policy!r}; PUT /api/v1/policies/ makes it",
        )
    return FollowedAnswer(
        contract_id=contract_id,
        policy=found.policy,
        version=policy.version,
        because=found.because,
        key=found.key,
    )
