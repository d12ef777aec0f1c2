"""The house: what every part of the shell is given, chosen once in `compose.py`."""

from collections.abc import Mapping
from dataclasses import dataclass

from api.clock import Clock
from api.store.secrets import SecretBox
from api.store.uow import Store, Uow
from billing.calendar import Calendar
from billing.payments.provider import PaymentProvider
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class House:
    settings: Settings
    store: Store
    clock: Clock
    secrets: SecretBox
    calendar: Calendar
    providers: Mapping[str, PaymentProvider]

    def uow(self, actor: str, correlation_id: str) -> "Uow":
        """One transaction: commits as the block ends, rolls back if it raises."""
        return Uow(self.store, self.clock, self.calendar, actor, correlation_id)
