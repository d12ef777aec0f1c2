"""The HTTP face over a real database, without a socket: clients by role."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime

import httpx
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from api.app import create_app
from api.house import House
from api.http.staff import ClockMover
from api.operators import Role, create_token

_idle: list[FastAPI] = []


async def no_mover(to: datetime, correlation_id: str) -> dict[str, object]:
    raise AssertionError(f"nobody should move the clock to {to} for {correlation_id}")


class Face:
    """One application; `client` gives a client with a fresh token of a role."""

    def __init__(self, house: House, app: FastAPI) -> None:
        self.house = house
        self.app = app
        self._clients: list[httpx.AsyncClient] = []

    async def client(self, role: Role | None = Role.ADMIN, name: str = "") -> httpx.AsyncClient:
        headers = {}
        if role is not None:
            name = name or f"{role}-{len(self._clients)}"
            async with self.house.uow("test", "seed") as uow:
                token = await create_token(uow, role, name)
            headers["Authorization"] = f"Bearer {token}"
        made = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://religa.test", headers=headers
        )
        self._clients.append(made)
        return made

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


@asynccontextmanager
async def open_face(house: House, mover: ClockMover = no_mover) -> AsyncIterator[Face]:
    """A face for one house. Applications are used again: to make one takes a third of a second."""
    app = _idle.pop() if _idle else create_app(house, clock_mover=mover)
    app.state.house, app.state.clock_mover = house, mover
    face = Face(house, app)
    try:
        yield face
    finally:
        await face.close()
        _idle.append(app)


def api_routes(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, APIRoute]]:
    """Every route with its full path, through included routers."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield prefix + route.path, route
        elif (router := getattr(route, "original_router", None)) is not None:
            context = getattr(route, "include_context", None)
            yield from api_routes(router.routes, prefix + getattr(context, "prefix", ""))
