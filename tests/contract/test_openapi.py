"""The document that others script against: complete, with a problem for every error."""

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.house import House
from tests.support.http_face import no_mover

# Of the contract with the outside, as far as its subjects exist.
PROMISED = {
    "POST /api/v1/plans",
    "POST /api/v1/nas",
    "POST /api/v1/subscribers",
    "POST /api/v1/contracts",
    "POST /api/v1/invoices",
    "POST /api/v1/payments",
    "GET /api/v1/contracts/{id}/access",
    "GET /api/v1/contracts/{id}/timeline",
    "POST /api/v1/contracts/{id}/promises",
    "POST /api/v1/contracts/{id}/holds",
    "POST /api/v1/contracts/{id}/agreements",
    "POST /api/v1/agreements/{id}/approve",
    "POST /api/v1/agreements/{id}/accept",
    "POST /api/v1/invoices/{id}/disputes",
    "POST /api/v1/disputes/{id}/answer",
    "POST /api/v1/contracts/{id}/pauses",
    "POST /api/v1/pauses/{id}/end",
    "POST /api/v1/reviews",
    "POST /api/v1/credit-analyses",
    "GET /api/v1/credit-analyses",
    "POST /api/v1/credit-analyses/{id}/decision",
    "GET /api/v1/listings",
    "GET /api/v1/agencies/{id}/accounts",
    "GET /api/v1/reviews",
    "GET /api/v1/reviews/{id}/rows",
    "POST /api/v1/reviews/{id}/release",
    "GET /api/v1/guards",
    "GET /api/v1/kill-switches",
    "PUT /api/v1/kill-switches/global",
    "DELETE /api/v1/kill-switches/global",
    "PUT /api/v1/policies/{name}",
    "GET /api/v1/policies/{name}",
    "GET /api/v1/contracts",
    "GET /api/v1/invoices",
    "GET /api/v1/sessions",
    "GET /api/v1/contracts/{id}/usage",
    "GET /api/v1/delinquency",
    "POST /api/v1/clock",
    "GET /api/v1/metrics/restore",
    "GET /api/v1/templates/{kind}/{language}",
    "PUT /api/v1/templates/{kind}/{language}",
    "POST /api/v1/templates/{kind}/{language}/preview",
    "PUT /api/v1/contracts/{id}/automatic-payment",
    "GET /api/v1/surveys/results",
    "GET /surveys/{token}",
    "POST /surveys/{token}",
    "POST /webhooks/{provider}",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
}
MOVES_MONEY_OR_ACCESS = {
    "POST /api/v1/billing-runs",
    "POST /api/v1/contracts/{id}/booklet",
    "POST /api/v1/contracts/{id}/discounts",
    "POST /api/v1/contracts/{id}/due-day-changes",
    "POST /api/v1/contracts/{id}/installation",
    "POST /api/v1/contracts/{id}/one-off-lines",
    "POST /api/v1/contracts/{id}/plan-changes",
    "POST /api/v1/contracts/{id}/products",
    "POST /api/v1/contracts/{id}/products/{number}/end",
    "POST /api/v1/contracts/{id}/termination",
    "POST /api/v1/outages",
    "POST /api/v1/outages/{id}/end",
    "POST /api/v1/holds/{id}/end",
    "POST /api/v1/parked-invoices/{id}/release",
    "POST /api/v1/invoices",
    "POST /api/v1/invoices/{id}/pix",
    "POST /api/v1/payments",
    "POST /api/v1/payments/{id}/refunds",
    "POST /api/v1/payments/{id}/chargebacks",
    "POST /api/v1/payments/{id}/returns",
    "POST /api/v1/payments/{id}/assign",
    "POST /api/v1/invoices/{id}/credit-notes",
    "POST /api/v1/invoices/{id}/debit-notes",
    "POST /api/v1/invoices/{id}/void",
    "POST /api/v1/invoices/{id}/write-off",
    "POST /api/v1/bills/{id}/pix",
    "POST /api/v1/contracts/{id}/promises",
    "POST /api/v1/contracts/{id}/holds",
    "POST /api/v1/contracts/{id}/agreements",
    "POST /api/v1/agreements/{id}/approve",
    "POST /api/v1/agreements/{id}/accept",
    "POST /api/v1/invoices/{id}/disputes",
    "POST /api/v1/disputes/{id}/answer",
    "POST /api/v1/contracts/{id}/pauses",
    "POST /api/v1/pauses/{id}/end",
    "POST /api/v1/reviews",
    "POST /api/v1/reviews/{id}/release",
}
LISTS = {
    "plans", "nas", "subscribers", "contracts", "invoices", "payments", "sessions", "notices",
    "actions", "audit", "operators", "products", "billing-runs", "parked-invoices",
    "agreements", "disputes", "pauses", "promises", "holds", "exemptions", "outages", "classes",
    "policy-assignments", "surveys/detractors", "credit-analyses", "listings", "listing-letters",
    "agencies",
    "delinquency/promises", "delinquency/agreements",
    "reviews", "kill-switches",
}  # fmt: skip


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app: FastAPI = create_app(cast(House, None), clock_mover=no_mover)
    return app.openapi()


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield f"{method.upper()} {path}", operation


def test_every_promised_route_is_there(document: dict[str, Any]) -> None:
    assert {name for name, _ in _operations(document)} >= PROMISED


def test_every_operation_has_a_tag_a_summary_and_a_described_answer(
    document: dict[str, Any],
) -> None:
    ids = []
    for name, operation in _operations(document):
        assert operation["tags"], name
        assert operation["summary"], name
        success = [status for status in operation["responses"] if status.startswith("2")]
        assert success, name
        ids.append(operation["operationId"])
    assert len(ids) == len(set(ids))


def test_every_operation_under_api_v1_but_login_needs_the_bearer_token(
    document: dict[str, Any],
) -> None:
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for name, operation in _operations(document):
        closed = "/api/v1/" in name and not name.endswith("/login")
        assert bool(operation.get("security")) is closed, name


def test_every_error_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        problems = [s for s in operation["responses"] if s.startswith(("4", "5"))]
        if "/api/v1/" in name:
            assert {"401", "422", "503"} <= set(problems), name
        if operation.get("security"):
            assert "403" in problems, name
        for status in problems:
            if name == "GET /readyz":
                continue
            content = operation["responses"][status]["content"]
            if name.endswith(" /surveys/{token}") and status in ("404", "410", "422", "429"):
                # A person reads them.
                assert set(content) == {"text/html"}, f"{name} {status}"
                continue
            assert set(content) == {"application/problem+json"}, f"{name} {status}"


def test_every_body_has_a_schema_with_an_example_and_refuses_unknown_fields(
    document: dict[str, Any],
) -> None:
    bodies = 0
    for name, operation in _operations(document):
        if "requestBody" not in operation:
            continue
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        if name in ("PUT /api/v1/policies/{name}", "POST /webhooks/messages/{channel}"):
            assert schema["type"] == "object"
            continue
        model = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        assert model["examples"], name
        assert model["additionalProperties"] is False, name
        bodies += 1
    assert bodies >= 12


def test_every_example_is_taken_by_its_own_schema() -> None:
    from api.http import guard_models, models

    tried = 0
    for model in (*vars(models).values(), *vars(guard_models).values()):
        if isinstance(model, type) and issubclass(model, models.Body):
            extra = model.model_config.get("json_schema_extra")
            for example in extra["examples"] if isinstance(extra, dict) else []:  # type: ignore[union-attr]
                model.model_validate_json(json.dumps(example))
                tried += 1
    assert tried >= 12


def test_lists_take_after_and_limit_and_answer_items_and_next(document: dict[str, Any]) -> None:
    for kind in LISTS:
        operation = document["paths"][f"/api/v1/{kind}"]["get"]
        parameters = {p["name"]: p["schema"] for p in operation["parameters"]}
        assert parameters["limit"]["default"] == 50
        assert parameters["limit"]["maximum"] == 500
        assert "after" in parameters
        ref = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        page = document["components"]["schemas"][ref.rpartition("/")[2]]
        assert set(page["properties"]) == set(page["required"]) == {"items", "next"}


def test_posts_that_move_money_or_access_take_an_idempotency_key(
    document: dict[str, Any],
) -> None:
    taking = {
        name
        for name, operation in _operations(document)
        if any(p["name"] == "Idempotency-Key" for p in operation.get("parameters", []))
    }
    assert taking == MOVES_MONEY_OR_ACCESS


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    for name in {ref.split('"')[0] for ref in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]


def test_no_money_is_a_float(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, kind in schema.get("properties", {}).items():
            if field.endswith("_cents") and field != "amounts_cents":
                kinds = [kind, *kind.get("anyOf", [])]
                types = {k["type"] for k in kinds if "type" in k}
                assert types <= {"integer", "null"}, f"{name}.{field}"
