"""The HTTP face: every router put together, with what surrounds them all."""

from typing import Any

from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry

from api.house import House
from api.http import (
    agencies,
    agreements,
    billing,
    catalog,
    classes,
    contact,
    contract_billing,
    corrections,
    credit,
    delinquency,
    disputes,
    guards,
    health,
    holds,
    holidays,
    ladder,
    ledger,
    listings,
    money,
    network,
    outages,
    pauses,
    places,
    policies,
    proof,
    receipts,
    recoveries,
    reviews,
    staff,
    survey_page,
    surveys,
    templates,
    usage,
    webhooks,
)
from api.http.envelope import Envelope
from api.http.problems import ProblemDocument, install, responses
from api.http.staff import ClockMover

VERSION = "0.1.0"

_ABOUT = """
Bearer tokens come from `POST /api/v1/login`, `POST /api/v1/tokens` or `religa token create`.
Errors are RFC 9457 problems whose `detail` says what to do. Money is whole cents.
A POST that moves money or access takes an `Idempotency-Key`.
Lists answer `{"items": […], "next": cursor or null}`; pass `next` as `after`.
"""


def create_app(house: House, *, clock_mover: ClockMover) -> FastAPI:
    """The application for one house.

    Args:
        house: what every part of the shell is given; the caller closes its store.
        clock_mover: moves the rehearsal clock to an instant, for a correlation id.
    """
    app = FastAPI(
        title="Religa",
        version=VERSION,
        description=_ABOUT,
        # Pages that load scripts from elsewhere; the document itself stays.
        docs_url=None,
        redoc_url=None,
        # The framework's own telemetry must never find a place to send to by itself.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.house = house
    app.state.clock_mover = clock_mover
    app.state.registry = CollectorRegistry(auto_describe=True)
    app.add_middleware(Envelope, registry=app.state.registry)
    install(app)
    v1 = APIRouter(prefix="/api/v1", responses=responses(400))
    for part in (
        *(staff, catalog, money, corrections, ledger, billing, contract_billing),
        *(ladder, reviews, guards, agreements, disputes, pauses, policies, network, usage, proof),
        *(places, holidays, classes, holds, outages, contact),
        *(templates, surveys),
        *(credit, listings, agencies),
        *(delinquency, recoveries),
    ):
        v1.include_router(part.router)
    app.include_router(v1)
    app.include_router(receipts.router, responses=responses(422))
    app.include_router(webhooks.router, responses=responses(422))
    app.include_router(survey_page.router)
    app.include_router(health.router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document, with the problem schema that the routes' responses refer to."""
    document = FastAPI.openapi(app)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    if "ProblemDocument" not in schemas:
        whole = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(whole.pop("$defs"))
        schemas["ProblemDocument"] = whole
    return document
