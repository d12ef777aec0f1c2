"""Plans, access servers, subscribers and contracts: making them, and reading them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api import credit_terms, placing
from api.http import answers, fields, models
from api.http.cursor import Window, window
from api.http.lists import listed, required, unique
from api.http.problems import conflict, invalid, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import catalogue, listing
from api.store.customer_tables import contracts, nases, plans, subscribers
from api.store.following import DEFAULT_POLICY
from api.store.uow import Uow
from billing.documents import InvalidDocument, parse_document
from billing.refusal import Refused

router = APIRouter(tags=["catalog"], responses=responses(401, 403, 422, 503))

Asked = Annotated[Window, Depends(window)]
Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
_ANALYSE_FIRST = (
    "the credit decision table requires an analysis; POST /api/v1/credit-analyses, and name it in"
    " POST /api/v1/contracts"
)
Term = Annotated[str | None, Query(max_length=253, pattern=r"^[^\x00-\x1f]+$")]


@router.post("/plans", status_code=201, summary="Make a plan", responses=responses(409))
async def make_plan(
    body: models.NewPlan, caller: Annotated[Caller, Depends(require(Permission.WRITE_PLANS))]
) -> answers.PlanAnswer:
    values = body.model_dump()
    async with caller.uow() as uow:
        plan_id = await unique("plan", catalogue.insert_plan(uow.connection, values))
        await uow.audit("plan.created", f"plan:{plan_id}", values)
    return answers.PlanAnswer(id=plan_id, **values)


@router.get("/plans", summary="List plans")
async def list_plans(
    asked: Asked, caller: Annotated[Caller, Depends(require(Permission.READ_PLANS))]
) -> answers.Page[answers.PlanAnswer]:
    return await listed(caller, "plans", listing.plan_rows(), plans.c.id, asked, answers.PlanAnswer)


@router.get("/plans/{id}", summary="Read a plan", responses=responses(404))
async def read_plan(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_PLANS))]
) -> answers.PlanAnswer:
    found = await required(caller, "plan", listing.plan_rows(), plans.c.id, id)
    return answers.PlanAnswer(**found)


@router.post("/nas", status_code=201, summary="Make a NAS", responses=responses(409))
async def make_nas(
    body: models.NewNas, caller: Annotated[Caller, Depends(require(Permission.WRITE_NAS))]
) -> answers.NasAnswer:
    shown = body.model_dump(exclude={"secret"})
    sealed = caller.house.secrets.seal("nases", body.name, "secret", body.secret.encode())
    async with caller.uow() as uow:
        nas_id = await unique(
            "NAS", catalogue.insert_nas(uow.connection, {**shown, "secret": sealed})
        )
        await uow.audit("nas.created", f"nas:{nas_id}", shown)
    return answers.NasAnswer(id=nas_id, **shown)


@router.get("/nas", summary="List NASes")
async def list_nas(
    asked: Asked, caller: Annotated[Caller, Depends(require(Permission.READ_NAS))]
) -> answers.Page[answers.NasAnswer]:
    return await listed(caller, "nas", listing.nas_rows(), nases.c.id, asked, answers.NasAnswer)


@router.get("/nas/{id}", summary="Read a NAS", responses=responses(404))
async def read_nas(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_NAS))]
) -> answers.NasAnswer:
    return answers.NasAnswer(**await required(caller, "nas", listing.nas_rows(), nases.c.id, id))


@router.post(
    "/subscribers",
    status_code=201,
    summary="Make a subscriber, with contract and login where a plan is given",
    responses=responses(409),
)
async def make_subscriber(
    body: models.NewSubscriber,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_SUBSCRIBERS))],
) -> answers.SubscriberMade:
    async with caller.uow() as uow:
        values = body.model_dump(include={"name", "document", "email", "phone"})
        address = body.address()
        now = uow.clock.now()
        subscriber_id = await unique(
            "subscriber",
            catalogue.insert_subscriber(uow.connection, {**values, "created_at": now}),
            ". For another line of the same payer, POST /api/v1/contracts with its subscriber_id",
        )
        # Personal data stays out of the audit chain, which nothing can ever be removed from.
        await uow.audit("subscriber.created", f"subscriber:{subscriber_id}", {})
        if any(address.values()):
            await placing.put_address(uow, "subscriber_id", subscriber_id, (), address)
        contract_id = login_id = None
        login = body.login()
        if body.plan is not None and body.due_day is not None and login is not None:
            plan_id = await catalogue.plan_id_of(uow.connection, body.plan)
            if plan_id is None:
                raise invalid("plan", f"there is no plan {body.plan!r}; GET /api/v1/plans has them")
            if await credit_terms.required(uow):
                raise invalid("plan", f"make the subscriber alone; {_ANALYSE_FIRST}")
            contract = models.NewContract(
                subscriber_id=subscriber_id, plan_id=plan_id, due_day=body.due_day, login=login
            )
            contract_id, login_id = await _connect(caller, uow, contract)
    return answers.SubscriberMade(
        id=subscriber_id, created_at=now, contract_id=contract_id, login_id=login_id, **values
    )


@router.get("/subscribers", summary="List subscribers")
async def list_subscribers(
    asked: Asked,
    caller: Annotated[Caller, Depends(require(Permission.READ_SUBSCRIBERS))],
    document: Term = None,
) -> answers.Page[answers.SubscriberAnswer]:
    query = listing.subscriber_rows(_document(document))
    return await listed(
        caller, "subscribers", query, subscribers.c.id, asked, answers.SubscriberAnswer
    )


@router.get("/subscribers/{id}", summary="Read a subscriber", responses=responses(404))
async def read_subscriber(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_SUBSCRIBERS))]
) -> answers.SubscriberAnswer:
    query = listing.subscriber_rows()
    return answers.SubscriberAnswer(
        **await required(caller, "subscriber", query, subscribers.c.id, id)
    )


@router.post(
    "/contracts", status_code=201, summary="Make a contract and its login", responses=responses(409)
)
async def make_contract(
    body: models.NewContract,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_CONTRACTS))],
) -> answers.ContractAnswer:
    async with caller.uow() as uow:
        if not await catalogue.exists(uow.connection, "subscribers", body.subscriber_id):
            raise invalid("subscriber_id", f"there is no subscriber {body.subscriber_id}")
        if not await catalogue.exists(uow.connection, "plans", body.plan_id):
            raise invalid("plan_id", f"there is no plan {body.plan_id}")
        if body.credit_analysis_id is None and await credit_terms.required(uow):
            raise invalid("credit_analysis_id", _ANALYSE_FIRST)
        contract_id, _ = await _connect(caller, uow, body)
        if body.credit_analysis_id is not None:
            try:
                await credit_terms.apply(
                    caller.house,
                    uow,
                    contract_id,
                    body.credit_analysis_id,
                    subscriber_id=body.subscriber_id,
                    plan_id=body.plan_id,
                    due_day=body.due_day,
                )
            except Refused as error:
                raise conflict("credit-refused", "Not on this analysis", str(error)) from error
    return await read_contract(contract_id, caller)


@router.get("/contracts", summary="List contracts")
async def list_contracts(
    asked: Asked,
    caller: Annotated[Caller, Depends(require(Permission.READ_CONTRACTS))],
    username: Term = None,
    document: Term = None,
    level: fields.Level | None = None,
    region: Annotated[
        str | None,
        Query(
            max_length=200,
            pattern=r"^[^\x00-\x1f]*$",
            description="Of the contract's address, else the subscriber's; empty: of none",
            examples=["centro"],
        ),
    ] = None,
    customer_class: Annotated[
        str | None,
        Query(
            max_length=200,
            pattern=r"^[^\x00-\x1f]+$",
            description="As in /classes",
            examples=["hospital"],
        ),
    ] = None,
) -> answers.Page[answers.ContractItem]:
    query = listing.contract_rows(
        with_debt=caller.may(Permission.READ_DEBT),
        username=username,
        document=_document(document),
        level=level,
        region=region,
        customer_class=customer_class,
    )
    return await listed(caller, "contracts", query, contracts.c.id, asked, answers.ContractItem)


@router.get("/contracts/{id}", summary="Read a contract", responses=responses(404))
async def read_contract(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_CONTRACTS))]
) -> answers.ContractAnswer:
    query = listing.contract_details(with_debt=caller.may(Permission.READ_DEBT))
    return answers.ContractAnswer(**await required(caller, "contract", query, contracts.c.id, id))


async def _connect(caller: Caller, uow: Uow, body: models.NewContract) -> tuple[int, int]:
    """Contract and login; the grant table follows by the triggers on these tables."""
    own = body.policy
    if own is not None and not await catalogue.policy_exists(uow.connection, own):
        raise invalid("policy", f"there is no policy {own!r}; PUT /api/v1/policies/ makes it")
    withdrawn_on = await catalogue.plan_withdrawn_on(uow.connection, body.plan_id)
    if withdrawn_on is not None and withdrawn_on <= uow.clock.now().date():
        raise invalid("plan_id", f"plan {body.plan_id} was withdrawn on {withdrawn_on}")
    contract_id = await catalogue.insert_contract(
        uow.connection,
        subscriber_id=body.subscriber_id,
        plan_id=body.plan_id,
        due_day=body.due_day,
        policy=own or DEFAULT_POLICY,
        policy_own=own is not None,
        quota_reset_day=body.quota_reset_day,
        at=uow.clock.now(),
    )
    policy = await placing.follow_new(uow, contract_id)
    login = body.login
    sealed = caller.house.secrets.seal(
        "logins", login.username, "password", login.password.encode()
    )
    values = login.model_dump(exclude={"password"})
    login_id = await unique(
        "login",
        catalogue.insert_login(
            uow.connection, {**values, "contract_id": contract_id, "password": sealed}
        ),
    )
    await uow.audit(
        "contract.created",
        f"contract:{contract_id}",
        {
            "subscriber_id": body.subscriber_id,
            "plan_id": body.plan_id,
            "due_day": body.due_day,
            "policy": policy,
            "quota_reset_day": body.quota_reset_day,
            "login_id": login_id,
        },
    )
    return contract_id, login_id


def _document(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return parse_document(text)
    except InvalidDocument as error:
        raise invalid("document", str(error)) from error
