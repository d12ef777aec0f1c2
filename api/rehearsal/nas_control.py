"""The simulated NAS as a program: lines of JSON on stdin are orders, lines on stdout the answers.

Orders are carried out one after another; each is answered by `{"do": ..., "ok": true, ...}` or by
`{"ok": false, "error": ...}`. The first line out, unasked, is `{"do": "start", "coa_port": ...}`.
The end of stdin is the end of the program, so a NAS never outlives who started it.

    {"do": "dial", "credentials": [["ana", "pw"]], "rate_per_s": 200}
    {"do": "behave", "behaviour": "nak", "cause": 503, "username": "ana", "requests": 1}
    {"do": "behave", "behaviour": "late", "seconds": 3}    also: ack, silent, lie
    {"do": "interim"}   {"do": "accounted"}   {"do": "sessions"}
    {"do": "hang_up", "usernames": ["ana"]}   {"do": "forget", "username": "ana"}
    {"do": "reboot", "orderly": false}   {"do": "stop"}
"""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from typing import Any

from api.rehearsal.nas import SimulatedNas
from api.rehearsal.nas_config import NasConfig
from api.rehearsal.nas_dynauth import Ack, Behaviour, Late, Lie, Nak, Silent
from api.rehearsal.nas_session import Session

Order = Mapping[str, Any]


class BadOrderError(ValueError):
    """An order that cannot be understood; the text says what is wrong with it."""


def read_order(line: str | bytes) -> Order:
    try:
        order = json.loads(line)
    except ValueError as error:
        raise BadOrderError(f"not JSON: {error}") from error
    if not isinstance(order, dict) or not isinstance(order.get("do"), str):
        raise BadOrderError('an order is an object with "do"')
    return order


def _field(order: Order, name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
    value = order.get(name, default)
    if value is default and name not in order:
        return default
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        raise BadOrderError(f"{name!r} of order {order['do']!r} cannot be {value!r}")
    return value


def behaviour_of(order: Order) -> Behaviour:
    match order.get("behaviour"):
        case "ack":
            return Ack()
        case "nak":
            return Nak(_field(order, "cause", int))
        case "silent":
            return Silent()
        case "late":
            return Late(_field(order, "seconds", (int, float), 1.0))
        case "lie":
            return Lie()
        case other:
            raise BadOrderError(f"no behaviour {other!r}: ack, nak, silent, late or lie")


def _credentials(order: Order) -> list[tuple[str, str]]:
    pairs = _field(order, "credentials", list, [])
    for pair in pairs:
        if not (isinstance(pair, list) and [type(part) for part in pair] == [str, str]):
            raise BadOrderError('"credentials" is a list of [username, password]')
    return [(username, password) for username, password in pairs]


def _row(session: Session) -> dict[str, object]:
    return {
        "username": session.line.username,
        "acct_session_id": session.acct_session_id,
        "ipv4": str(session.ipv4),
        "mac": session.line.mac,
        "profile": asdict(session.profile),
    }


async def obey(
    nas: SimulatedNas, order: Order, progress: Callable[[int], None]
) -> dict[str, object]:
    """Carry out one order and say what came of it.

    Raises:
        BadOrderError: the order is not understood; nothing was done.
    """
    match order["do"]:
        case "dial":
            pairs = _credentials(order)
            rate = _field(order, "rate_per_s", (int, float), 200)
            if rate <= 0:
                raise BadOrderError('"rate_per_s" is above 0')
            return asdict(await nas.dial(pairs, rate, progress))
        case "behave":
            username = _field(order, "username", str)
            nas.behave(behaviour_of(order), username, _field(order, "requests", int))
            return {}
        case "interim":
            await nas.interim_all()
            return {"sessions": len(nas.sessions())}
        case "accounted":
            await nas.accounted()
            return {}
        case "sessions":
            return {"sessions": [_row(session) for session in nas.sessions()]}
        case "hang_up":
            return {"ended": await nas.hang_up(_field(order, "usernames", list))}
        case "forget":
            return {"lost": nas.forget(_field(order, "username", str, ""))}
        case "reboot":
            return {"lost": await nas.reboot(orderly=_field(order, "orderly", bool, True))}
        case other:
            raise BadOrderError(f"no order {other!r}")


async def run(config: NasConfig) -> None:
    """Be this NAS until stdin ends, `stop` is ordered, or SIGTERM or SIGINT comes.

    Raises:
        OSError: the CoA port is taken, or the address is not this machine's.
    """
    loop = asyncio.get_running_loop()
    obeying = loop.create_task(_obey_stdin(config))
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, obeying.cancel)
    try:
        await asyncio.wait((obeying,))
        if not obeying.cancelled():
            obeying.result()
    finally:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


async def _obey_stdin(config: NasConfig) -> None:
    async with SimulatedNas(config) as nas:
        _say({"do": "start", "ok": True, "nas": config.name, "coa_port": nas.coa_port})
        async for line in _lines(sys.stdin.fileno()):
            try:
                order = read_order(line)
                if order["do"] == "stop":
                    _say({"do": "stop", "ok": True})
                    return
                done = await obey(nas, order, _report)
            except BadOrderError as error:
                _say({"ok": False, "error": str(error)})
            else:
                _say({"do": order["do"], "ok": True, **done})


def _say(answer: Mapping[str, object]) -> None:
    print(json.dumps(answer), flush=True)


def _report(count: int) -> None:
    if count % 100 == 0:
        print(f"dialled {count}", file=sys.stderr, flush=True)


async def _lines(descriptor: int) -> AsyncIterator[bytes]:
    """Lines from a pipe, a file or a terminal until it ends."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()

    def read() -> None:
        rest = b""
        ended = False
        while not ended:
            block = os.read(descriptor, 65_536)
            ended = not block
            *whole, rest = (rest + block).split(b"\n")
            try:
                for line in (*whole, rest, None) if ended else whole:
                    loop.call_soon_threadsafe(lines.put_nowait, line)
            except RuntimeError:
                return  # the loop is gone: nobody listens any more

    # A thread, since a file cannot be waited for; daemon, since it may never get another line;
    # os.read, since one that still holds sys.stdin's lock would abort the interpreter's end.
    threading.Thread(target=read, daemon=True).start()
    while (line := await lines.get()) is not None:
        if line.strip():
            yield line
