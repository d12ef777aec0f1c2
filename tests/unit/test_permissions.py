"""Every route under /api/v1 asks for a permission, and each role has what its work needs."""

from typing import cast

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.app import create_app
from api.house import House
from api.http.security import Require
from api.operators import ROLE_PERMISSIONS, Permission, Role
from tests.support.http_face import api_routes, no_mover

OPEN = {("POST", "/api/v1/login")}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(cast(House, None), clock_mover=no_mover)


def _asked(route: APIRoute) -> list[Permission]:
    calls = [dependency.call for dependency in route.dependant.dependencies]
    return [call.permission for call in calls if isinstance(call, Require)]


def test_every_route_under_api_v1_asks_for_exactly_one_permission(app: FastAPI) -> None:
    found = 0
    for path, route in api_routes(app.routes):
        for method in route.methods or ():
            if path.startswith("/api/v1") and (method, path) not in OPEN:
                assert len(_asked(route)) == 1, f"{method} {path} lets anyone in"
                found += 1
    assert found > 30


def test_the_walk_over_routes_sees_every_documented_operation(app: FastAPI) -> None:
    walked = {
        (method, path)
        for path, route in api_routes(app.routes)
        if route.include_in_schema
        for method in route.methods or ()
    }
    documented = {
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    assert walked == documented


def test_reading_routes_ask_to_read_and_no_other_route_does(app: FastAPI) -> None:
    for path, route in api_routes(app.routes):
        if path.startswith("/api/v1") and _asked(route):
            reads = _asked(route)[0].value.startswith("read_")
            assert reads is (route.methods == {"GET"}), path


def test_every_permission_is_asked_for_somewhere(app: FastAPI) -> None:
    asked = {p for _, route in api_routes(app.routes) for p in _asked(route)}
    assert asked == set(Permission)


def test_every_role_has_a_row_and_admin_has_all() -> None:
    assert set(ROLE_PERMISSIONS) == set(Role)
    assert ROLE_PERMISSIONS[Role.ADMIN] == set(Permission)


def test_an_auditor_reads_everything_and_writes_nothing() -> None:
    reads = {p for p in Permission if p.value.startswith("read_")}
    assert ROLE_PERMISSIONS[Role.AUDITOR] == reads


def test_an_agency_sees_what_was_handed_over_and_nothing_else() -> None:
    assert ROLE_PERMISSIONS[Role.AGENCY] == {Permission.READ_HANDED_OVER}


@pytest.mark.parametrize(
    ("role", "permission"),
    [
        (Role.NOC, Permission.READ_DEBT),
        (Role.NOC, Permission.TAKE_PAYMENTS),
        (Role.NOC, Permission.WRITE_INVOICES),
        (Role.NOC, Permission.RUN_REVIEWS),
        (Role.NOC, Permission.RELEASE_REVIEWS),
        (Role.NOC, Permission.WRITE_POLICIES),
        (Role.NOC, Permission.READ_AUDIT),
        (Role.FINANCE, Permission.WRITE_NAS),
        (Role.FINANCE, Permission.READ_NAS),
        (Role.FINANCE, Permission.PLACE_HOLDS),
        (Role.FINANCE, Permission.READ_AUDIT),
        (Role.NOC, Permission.MANAGE_OPERATORS),
        (Role.FINANCE, Permission.MANAGE_OPERATORS),
        (Role.AUDITOR, Permission.MANAGE_OPERATORS),
        (Role.NOC, Permission.MOVE_CLOCK),
        (Role.FINANCE, Permission.MOVE_CLOCK),
        (Role.NOC, Permission.DECIDE_CREDIT),
        (Role.NOC, Permission.READ_HANDED_OVER),
        (Role.FINANCE, Permission.WRITE_BUREAUS),
    ],
)
def test_what_a_role_must_never_have(role: Role, permission: Permission) -> None:
    assert permission not in ROLE_PERMISSIONS[role]
