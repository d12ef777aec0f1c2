"""How a run over everybody works through its batches: a few at once, with few looks for cycles."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager


async def together(work: Callable[[], Awaitable[None]], count: int) -> None:
    """Do `work` so many times at once; the first error ends all of it and is raised."""
    tasks = [asyncio.ensure_future(work()) for _ in range(count)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def few_collections() -> Iterator[None]:
    """A batch's values live as long as it does: looking at them every 700 costs a fifth more."""
    usual = gc.get_threshold()
    gc.set_threshold(50_000, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
