"""What the routes take. Unknown fields are refused; money is whole cents and never a float."""

import re
from datetime import date, datetime
from ipaddress import IPv4Address, IPv6Network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.http.fields import (
    MONEY_MAX,
    OCTETS_MAX,
    PRICE_MAX,
    Bps,
    Cents,
    Cep,
    CityCode,
    Day,
    Dialect,
    Document,
    DueDay,
    Email,
    Id,
    Instant,
    Mac,
    Name,
    Network,
    Phone,
    ResetDay,
    Secret,
    State,
    Username,
    Words,
    near,
    no_controls,
)
from api.operators import Role
from billing.invoice import Kind
from billing.payer import HoldKind
from billing.place import parse_place


class Body(BaseModel):
    """Refuses what it does not know: a misspelt field must not be silently dropped."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def example(body: dict[str, Any]) -> ConfigDict:
    """A body that refuses what it does not know, with an example for the document."""
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [body]})


class NewPlan(Body):
    model_config = example(
        {
            "name": "Fibra 300",
            "down_bps": 300000000,
            "up_bps": 150000000,
            "reduced_down_bps": 1000000,
            "reduced_up_bps": 1000000,
            "price_cents": 9990,
            "ipv4_pool": "clientes",
        }
    )

    name: Name
    down_bps: Bps
    up_bps: Bps
    reduced_down_bps: Bps
    reduced_up_bps: Bps
    price_cents: Annotated[int, Field(strict=True, ge=0, le=PRICE_MAX)]
    ipv4_pool: Name | None = None
    ipv6_pool: Name | None = None
    simultaneous_use: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1
    simultaneous_policy: Literal["reject", "drop_oldest", "allow"] = "reject"
    quota_octets: Annotated[int, Field(strict=True, ge=1, le=OCTETS_MAX)] | None = None
    quota_down_bps: Bps | None = None
    quota_up_bps: Bps | None = None

    @model_validator(mode="after")
    def _quota_is_whole_and_slower(self) -> "NewPlan":
        quota = (self.quota_octets, self.quota_down_bps, self.quota_up_bps)
        if quota.count(None) not in (0, 3):
            raise ValueError("a quota needs quota_octets, quota_down_bps and quota_up_bps")
        if (self.quota_down_bps or 0) > self.down_bps or (self.quota_up_bps or 0) > self.up_bps:
            raise ValueError("the quota's rates are at most the full ones")
        return self

    @model_validator(mode="after")
    def _reduced_is_less(self) -> "NewPlan":
        if self.reduced_down_bps > self.down_bps or self.reduced_up_bps > self.up_bps:
            raise ValueError("the reduced rates are at most the full ones")
        return self


class NewNas(Body):
    model_config = example(
        {
            "name": "bng-1",
            "address": "192.0.2.1",
            "secret": "a long random secret",
            "dialect": "mikrotik",
        }
    )

    name: Name
    address: Network
    secret: Secret
    dialect: Dialect
    coa_port: Annotated[int, Field(strict=True, ge=1, le=65535)] = 3799
    require_message_authenticator: Literal["yes", "no", "auto"] = "yes"
    # Its counters start over at 4 GiB, and it does not tell by Gigawords.
    wraps_at_4_gib: Annotated[bool, Field(strict=True)] = False
    # False: its input octets are what the subscriber downloads.
    input_is_upload: Annotated[bool, Field(strict=True)] = True


class NewLogin(Body):
    username: Username
    password: Secret
    mac: Mac | None = None
    circuit_id: Words | None = None
    remote_id: Words | None = None
    static_ipv4: IPv4Address | None = None
    delegated_ipv6: IPv6Network | None = None


class NewContract(Body):
    model_config = example(
        {
            "subscriber_id": 1,
            "plan_id": 1,
            "due_day": 10,
            "login": {"username": "maria", "password": "segredo"},
        }
    )

    subscriber_id: Id
    plan_id: Id
    due_day: DueDay
    # Its own; left out, it follows its class, its region, its plan or the one that all are given.
    policy: Words | None = None
    # When the plan's traffic quota starts anew; the due day unless said otherwise.
    quota_reset_day: ResetDay | None = None
    # Whose terms it is made on; the credit decision table may require one.
    credit_analysis_id: Id | None = None
    login: NewLogin


class Located(Body):
    """An address: all of it may be left out, and city code and state must be of each other."""

    cep: Cep | None = None
    street: Words | None = None
    number: Name | None = None
    complement: Words | None = None
    district: Words | None = None
    city: Words | None = None
    # IBGE's seven digits: with them the city's holidays are known.
    city_code: CityCode | None = None
    state: State | None = None
    # The provider's own name of a part of its network, for totals and policies.
    region: Name | None = None

    @model_validator(mode="after")
    def _of_each_other(self) -> "Located":
        parse_place(self.state, self.city_code)
        return self

    def address(self) -> dict[str, str | None]:
        """The columns of an address; a city's code says its state."""
        found = self.model_dump(include=set(Located.model_fields))
        return found | {"state": parse_place(self.state, self.city_code).state or None}


class NewAddress(Located):
    model_config = example(
        {
            "cep": "01310-100",
            "street": "Avenida Paulista",
            "number": "1578",
            "district": "Bela Vista",
            "city": "São Paulo",
            "city_code": "3550308",
            "state": "SP",
            "region": "centro",
        }
    )


class NewSubscriber(Located):
    """A row of the CSV: with a plan and a login it is subscriber, contract and login at once."""

    model_config = example(
        {
            "name": "Maria da Silva",
            "document": "529.982.247-25",
            "email": "maria@example.com",
            "plan": "Fibra 300",
            "due_day": 10,
            "username": "maria",
            "password": "segredo",
        }
    )

    name: Words
    document: Document
    email: Email | None = None
    phone: Phone | None = None
    plan: Name | None = None
    due_day: DueDay | None = None
    username: Username | None = None
    password: Secret | None = None
    mac: Mac | None = None
    static_ipv4: IPv4Address | None = None
    delegated_ipv6: IPv6Network | None = None

    @model_validator(mode="after")
    def _whole(self) -> "NewSubscriber":
        contract = (self.plan, self.due_day, self.username, self.password)
        rest = (self.mac, self.static_ipv4, self.delegated_ipv6)
        if any(v is not None for v in contract + rest) and None in contract:
            raise ValueError("a contract needs plan, due_day, username and password, all four")
        return self

    def login(self) -> NewLogin | None:
        if self.username is None or self.password is None:
            return None
        return NewLogin(
            username=self.username,
            password=self.password,
            mac=self.mac,
            static_ipv4=self.static_ipv4,
            delegated_ipv6=self.delegated_ipv6,
        )


class NewLine(Body):
    description: Words
    amount_cents: Annotated[int, Field(strict=True, ge=-MONEY_MAX, le=MONEY_MAX)]
    kind: Kind = Kind.OTHER
    service: Annotated[str, Field(max_length=64), AfterValidator(no_controls)] = ""
    from_on: Day | None = None
    # The day after the last.
    until_on: Day | None = None
    # A discount that holds only if the invoice is paid in time.
    conditional: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _makes_sense(self) -> "NewLine":
        if self.conditional and self.amount_cents >= 0:
            raise ValueError("a conditional line is a discount: its amount_cents is below 0")
        if self.from_on and self.until_on and self.until_on <= self.from_on:
            raise ValueError("until_on is the day after the last, so later than from_on")
        return self


class NewInvoice(Body):
    model_config = example(
        {
            "contract_id": 1,
            "due_on": "2026-09-01",
            "lines": [{"description": "Internet, setembro", "amount_cents": 9990}],
        }
    )

    contract_id: Id
    due_on: Day
    lines: Annotated[list[NewLine], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _owes(self) -> "NewInvoice":
        owed_cents = sum(line.amount_cents for line in self.lines if not line.conditional)
        if not 0 < owed_cents <= MONEY_MAX:
            raise ValueError("the lines that are not conditional must add up to 1 cent or more")
        return self


class NewPayment(Body):
    model_config = example(
        {"invoice_id": 1, "amount_cents": 9990, "method": "dinheiro", "reference": "recibo 12"}
    )

    invoice_id: Id | None = None
    # All invoices of a bill, oldest first.
    bill_id: Id | None = None
    amount_cents: Cents
    method: Annotated[str, Field(max_length=40, pattern=r"^[^:]+$"), AfterValidator(no_controls)]
    reference: Words
    # Without a zone it is the provider's own time.
    paid_at: Instant | None = None

    @model_validator(mode="after")
    def _names_one(self) -> "NewPayment":
        if (self.invoice_id is None) is (self.bill_id is None):
            raise ValueError("give invoice_id or bill_id, one of them")
        return self


class NewPromise(Body):
    model_config = example({"until_on": "2026-09-24"})

    until_on: Day
    # Whose wish it is: `customer` where no operator stood between.
    author_kind: Literal["operator", "customer"] = "operator"


Why = Annotated[str, Field(max_length=500), AfterValidator(no_controls)]


class NewHold(Body):
    """A hold keeps cuts away, an exemption reminders too; both have a reason and an end."""

    model_config = example(
        {
            "kind": "exemption",
            "expires_at": "2026-10-01T00:00:00-03:00",
            "reason": "cliente internado",
        }
    )

    kind: HoldKind = HoldKind.HOLD
    expires_at: Instant
    reason: Why

    @model_validator(mode="before")
    @classmethod
    def _has_an_end(cls, body: Any) -> Any:
        if isinstance(body, dict) and body.get("expires_at") is None:
            raise ValueError(
                "a hold or an exemption needs expires_at; what has no end is a customer class"
                " that is never blocked: PUT /api/v1/classes/{name}, then"
                " PUT /api/v1/subscribers/{id}/class"
            )
        return body


class EndHold(Body):
    model_config = example({"reason": "cliente voltou para casa"})

    reason: Why


class MoveClock(Body):
    model_config = example({"to": "2026-09-21"})

    to: str = Field(max_length=40, description="A date (its first instant) or an instant")

    def instant(self) -> date | datetime:
        """What was asked for, as a date where no time was given."""
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", self.to):
            return near(date.fromisoformat(self.to))
        at = datetime.fromisoformat(self.to)
        near(at.date())
        return at

    @model_validator(mode="after")
    def _reads(self) -> "MoveClock":
        try:
            self.instant()
        except (ValueError, OverflowError) as error:
            raise ValueError(f"a date or an instant in ISO 8601 is wanted: {error}") from error
        return self


class Credentials(Body):
    model_config = example({"name": "admin", "password": "…"})

    name: Words
    password: Annotated[str, Field(min_length=1, max_length=200)]


class NewToken(Body):
    model_config = example({"name": "site", "role": "finance"})

    name: Words
    role: Role
    expires_at: Instant | None = None


class NewOperator(Body):
    model_config = example({"name": "joana", "role": "noc", "password": "uma senha comprida"})

    name: Words
    role: Role
    password: Annotated[str, Field(min_length=10, max_length=200)]


PolicyBody = Annotated[dict[str, Any], Field(max_length=50)]
