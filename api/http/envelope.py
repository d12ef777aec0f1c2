"""What surrounds every request: its correlation id, its size limit, and how long it took."""

import re
import time
import uuid

import structlog
from prometheus_client import CollectorRegistry, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import TOO_LARGE, answer

BODY_BYTES_MAX = 2**20
_SANE = re.compile(r"[A-Za-z0-9-]{1,64}")


def correlation_id_of(headers: Headers) -> str:
    """The caller's X-Request-ID if it is safe to log and to store, else a new one."""
    given = headers.get("x-request-id", "")
    return given if _SANE.fullmatch(given) else uuid.uuid4().hex


def _announced_bytes(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdecimal() and len(length) < 20 else 0


class Envelope:
    """ASGI middleware: binds the correlation id to scope, logs and answer; bounds; measures."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        self.duration = Histogram(
            "religa_http_request_duration_seconds",
            "Time from the request's head to the answer's end.",
            ("method", "status"),
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        correlation_id = correlation_id_of(headers)
        scope["correlation_id"] = correlation_id
        status = 500
        received = 0
        started = time.perf_counter()

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > BODY_BYTES_MAX:
                # The framework lets this one kind of error through from where it reads bodies.
                raise HTTPException(TOO_LARGE.status)
            return message

        async def send_bound(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = correlation_id
            await send(message)

        with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
            try:
                if _announced_bytes(headers) > BODY_BYTES_MAX:
                    refusal = answer(Request(scope), TOO_LARGE)
                    await refusal(scope, receive, send_bound)
                else:
                    await self.app(scope, receive_bounded, send_bound)
            finally:
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self.duration.labels(method, str(status)).observe(time.perf_counter() - started)


_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})
