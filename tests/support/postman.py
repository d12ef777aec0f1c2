"""A mail server and an SMS adapter on loopback, beside a product that is a process of its own."""

import asyncio
import threading
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from tests.support.adapter import Adapter, adapter
from tests.support.smtp import Sink, smtp_sink


class Postman:
    """Both servers, on a thread's own event loop; what came in may be read from any thread."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.mail: Sink
        self.sms: Adapter

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with AsyncExitStack() as stack:
            self.mail = await stack.enter_async_context(smtp_sink())
            self.sms = await stack.enter_async_context(adapter())
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the mail server did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
