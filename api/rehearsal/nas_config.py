"""What a simulated NAS is told at its start."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from api.rehearsal.nas_profile import DIALECT_NAMES, DialectName
from api.rehearsal.nas_records import METHODS, Method
from api.rehearsal.nas_uplink import ACCESS_TIMERS, ACCOUNTING_TIMERS, Timers


@dataclass(frozen=True, slots=True)
class NasConfig:
    """Who the NAS is, where its server is, and how it behaves by default.

    `bind_host` is also its NAS-IP-Address, so it is one IPv4 address. `coa_port` 0 takes a free
    one. `coa_clients` are the addresses that may send CoA; none given: any may. `interim_s` holds
    where Access-Accept names no interval; 0: no interim updates. `window_s` is both the age that
    Event-Timestamp may have and how long answers are remembered (RFC 5176 section 6.3).
    """

    name: str
    dialect: DialectName
    secret: bytes = field(repr=False)
    log_path: Path
    server_host: str = "127.0.0.1"
    auth_port: int = 1812
    acct_port: int = 1813
    bind_host: str = "127.0.0.1"
    coa_port: int = 3799
    coa_clients: frozenset[str] = frozenset()
    method: Method = "pap"
    interim_s: int = 300
    window_s: float = 300.0
    redial_after_s: float = 0.05
    walled_name: str = "religa-walled"
    access_timers: Timers = ACCESS_TIMERS
    accounting_timers: Timers = ACCOUNTING_TIMERS

    def __post_init__(self) -> None:
        if self.dialect not in DIALECT_NAMES:
            known = ", ".join(DIALECT_NAMES)
            raise ValueError(f"no such dialect: {self.dialect!r}; the simulated NAS has {known}")
        if self.method not in METHODS:
            raise ValueError(f"no such method: {self.method!r}; there are {', '.join(METHODS)}")
        if not self.secret:
            raise ValueError("the shared secret is empty")
        if IPv4Address(self.bind_host).is_unspecified:
            raise ValueError("bind_host is the NAS-IP-Address: give one address, not 0.0.0.0")
