"""What providers tell of what they were given: kept once, in whatever order it comes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, assert_never

from api import proving
from api.house import House
from api.store import deliveries, notices

State = Literal["sent", "delivered", "read", "failed", "bounced"]
Taken = Literal["taken", "repeated", "unknown"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """Of one delivery, by our id or theirs. `at` is when they say that it happened."""

    our_id: str | None
    provider_id: str | None
    state: State
    at: datetime | None = None
    reason: str = ""


async def take(house: House, channel: str, receipt: Receipt, correlation_id: str) -> Taken:
    """Keep a receipt and do what it asks for, in one transaction."""
    async with house.uow(f"channel:{channel}", correlation_id) as uow:
        found = await deliveries.find(uow.connection, channel, receipt.our_id, receipt.provider_id)
        if found is None:
            return "unknown"
        await notices.addressee(uow.connection, found.of.subscriber_id)
        state: State = receipt.state
        if state == "failed" and channel == "email":
            state = "bounced"
        reason = receipt.reason or f"{channel} says that it {state}"
        if not await deliveries.keep_receipt(
            uow.connection, found.id, state, receipt.at, uow.clock.now(), receipt.reason or None
        ):
            return "repeated"
        match state:
            case "sent":
                await proving.accepted(uow, found, receipt.provider_id)
            case "delivered" | "read":
                await proving.confirm(uow, found, provider_id=receipt.provider_id)
            case "failed":
                await proving.failed(uow, found, reason)
            case "bounced":
                await proving.bounced(uow, found, reason)
            case _:
                assert_never(state)
        return "taken"
