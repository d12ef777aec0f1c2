"""Who plays in the demo: plans, routers and subscribers, all made up, and the policy in force."""

from dataclasses import dataclass
from typing import Literal

from api.rehearsal.nas_profile import DialectName

Role = Literal["good", "payer", "partial", "promiser", "debtor"]

PLANS: tuple[dict[str, object], ...] = (
    {
        "name": "fibra-100",
        "down_bps": 100_000_000,
        "up_bps": 50_000_000,
        "reduced_down_bps": 2_000_000,
        "reduced_up_bps": 1_000_000,
        "price_cents": 9_990,
        "ipv4_pool": "clientes",
        "ipv6_pool": "clientes6",
        "simultaneous_use": 1,
    },
    {
        "name": "fibra-500",
        "down_bps": 500_000_000,
        "up_bps": 250_000_000,
        "reduced_down_bps": 5_000_000,
        "reduced_up_bps": 2_000_000,
        "price_cents": 14_990,
        "ipv4_pool": "clientes",
        "ipv6_pool": "clientes6",
        "simultaneous_use": 1,
    },
)
DIALECTS: tuple[DialectName, ...] = ("mikrotik", "accel_ppp", "wispr")
SUBSCRIBERS = 200
DEBTORS = 40


@dataclass(frozen=True, slots=True)
class Actor:
    """One subscriber, the router that his line ends at, and what he will do."""

    index: int
    plan: dict[str, object]
    dialect: DialectName
    role: Role

    @property
    def username(self) -> str:
        return f"casa{self.index:03d}"

    @property
    def password(self) -> str:
        return f"senha-{self.index:03d}"

    def csv_row(self) -> dict[str, object]:
        """The row of `subscribers.csv`."""
        return {
            "name": f"Assinante {self.index}",
            "document": _cpf(200_000_000 + self.index),
            "email": f"{self.username}@exemplo.invalid",
            "phone": "",
            "plan": self.plan["name"],
            "due_day": 10,
            "username": self.username,
            "password": self.password,
            "mac": "",
            "static_ipv4": "",
            "delegated_ipv6": "",
        }


def cast() -> list[Actor]:
    """Everybody. Half of the debtors will pay, one in part, one promises, the others do not."""
    roles: list[Role] = ["partial", "promiser"]
    roles += ["payer"] * (DEBTORS // 2)
    roles += ["debtor"] * (DEBTORS - len(roles))
    roles += ["good"] * (SUBSCRIBERS - len(roles))
    return [
        Actor(index, PLANS[index % 2], DIALECTS[index % 3], role)
        for index, role in enumerate(roles)
    ]


def policy() -> dict[str, object]:
    """`anatel-765` with its optional stage of reduced speed before the walled garden."""
    return {
        "law": "anatel-765",
        "steps": [
            {"level": "reduced", "anchor": "maturity", "after_days": 0},
            {"level": "walled", "anchor": "reduced", "after_days": 15},
        ],
        # The story is of notices; reminders by the hundred would only lengthen it.
        "reminders": [],
    }


def _cpf(number: int) -> str:
    """A well-formed CPF, check digits and all, for a made-up number of nine digits."""
    digits = [int(digit) for digit in f"{number:09d}"]
    for first_weight in (10, 11):
        weights = range(first_weight, 1, -1)
        total = sum(digit * weight for digit, weight in zip(digits, weights, strict=True))
        digits.append(total * 10 % 11 % 10)
    return "".join(map(str, digits))
