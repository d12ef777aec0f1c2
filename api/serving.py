"""The HTTP server of the API role, ended by the role's own signals."""

import asyncio

import uvicorn

from api import kill_switch
from api.app import create_app
from api.enforce import Enforcer
from api.house import House
from api.http.server import Server
from api.rehearsal_clock import ClockMover
from radius.client import DynauthClient


async def serve(house: House, stop: asyncio.Event, grace_s: int) -> None:
    """Serve until `stop`; open requests are cut `grace_s` seconds later."""
    settings = house.settings
    house.load_calendar()  # now, so that the first request does not wait for it
    mover = ClockMover(house, Enforcer(house, DynauthClient()))
    server = Server(
        uvicorn.Config(
            create_app(house, clock_mover=mover.move),
            host=settings.http_host,
            port=settings.http_port,
            log_config=None,
            access_log=False,
            server_header=False,
            # The peer that counts is who really connects: the webhook trusts loopback only.
            proxy_headers=False,
            timeout_graceful_shutdown=grace_s,
        )
    )
    serving = asyncio.create_task(server.serve())
    stopped = asyncio.create_task(stop.wait())
    following = asyncio.create_task(kill_switch.follow(house, stop))
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    following.cancel()
    server.should_exit = True
    await serving
