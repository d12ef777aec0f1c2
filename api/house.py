"""The house: what every part of the shell is given, chosen once in `compose.py`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from api.clock import Clock
from api.store.secrets import SecretBox
from api.store.uow import Store, Uow
from api.switch_file import SwitchFile
from billing.calendar import Calendar
from billing.payments.provider import PaymentProvider
from config.settings import Settings


@dataclass(frozen=True, slots=True)
class House:
    settings: Settings
    store: Store
    clock: Clock
    secrets: SecretBox
    # Called for the calendar: reading it takes a third of a second, and a RADIUS node never does.
    load_calendar: Callable[[], Calendar]
    providers: Mapping[str, PaymentProvider]

    @property
    def calendar(self) -> Calendar:
        """The holidays that bind this provider and the banks."""
        return self.load_calendar()

    @property
    def switch_file(self) -> SwitchFile:
        """The kill switch of this machine, which needs no database."""
        return SwitchFile(self.settings.data_dir)

    def uow(self, actor: str, correlation_id: str) -> "Uow":
        """One transaction: commits as the block ends, rolls back if it raises."""
        return Uow(
            self.store,
            self.clock,
            self.load_calendar,
            actor,
            correlation_id,
            self.settings.limits,
            self.switch_file.stands,
        )
