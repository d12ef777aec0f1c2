"""The kinds of field that requests are made of, each refusing what cannot be meant."""

from datetime import date, datetime
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from api.subscriber_file import normal_mac
from billing.documents import parse_document
from billing.place import parse_cep, parse_city_code, parse_state
from network.dialects import dialect as known_dialect

MONEY_MAX = 10**12
PRICE_MAX = 10**9
BPS_MAX = 10**13
OCTETS_MAX = 10**18
ID_MAX = 2**63 - 1


def no_controls(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters are not allowed here")
    if text != text.strip() or not text:
        raise ValueError("write it without spaces at its ends, and not empty")
    return text


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise ValueError(
            "an IP address or a CIDR without host bits, as in 10.0.0.1 or 10.0.0.0/24"
        ) from error


def _dialect(name: str) -> str:
    known_dialect(name)
    return name


def near(day: date) -> date:
    """A date beyond any business is a slip of the keyboard, and overflows what follows from it."""
    if not 2000 <= day.year <= 2100:
        raise ValueError("a date between 2000 and 2100 is wanted")
    return day


def _near_instant(at: datetime) -> datetime:
    near(at.date())
    return at


Words = Annotated[str, Field(max_length=200), AfterValidator(no_controls)]
Name = Annotated[str, Field(max_length=64), AfterValidator(no_controls)]
# It reaches routers and logs, so it has no sign that means something to any of them.
Username = Annotated[str, Field(pattern=r"^[A-Za-z0-9._@-]{1,64}$")]
Secret = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(no_controls)]
Document = Annotated[str, Field(max_length=32), AfterValidator(parse_document)]
Mac = Annotated[str, Field(max_length=32), AfterValidator(normal_mac)]
Email = Annotated[
    str, Field(max_length=254, pattern=r"^[^\s@<>,;\x00-\x1f]+@[^\s@<>,;\x00-\x1f]+$")
]
Phone = Annotated[str, Field(max_length=32, pattern=r"^[0-9+() .-]+$")]
Cep = Annotated[str, Field(max_length=12), AfterValidator(parse_cep)]
CityCode = Annotated[str, Field(max_length=12), AfterValidator(parse_city_code)]
State = Annotated[str, Field(max_length=12), AfterValidator(parse_state)]
Network = Annotated[str, Field(max_length=64), AfterValidator(_network)]
Id = Annotated[int, Field(strict=True, ge=1, le=ID_MAX)]
Cents = Annotated[int, Field(strict=True, ge=1, le=MONEY_MAX)]
Bps = Annotated[int, Field(strict=True, ge=1, le=BPS_MAX)]
DueDay = Annotated[int, Field(strict=True, ge=1, le=31)]
ResetDay = Annotated[int, Field(strict=True, ge=1, le=31)]
Day = Annotated[date, AfterValidator(near)]
Instant = Annotated[datetime, AfterValidator(_near_instant)]
Level = Literal["full", "reduced", "walled", "blocked"]
Dialect = Annotated[str, Field(max_length=32), AfterValidator(_dialect)]
