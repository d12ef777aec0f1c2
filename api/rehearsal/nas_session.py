"""The simulated NAS's table of sessions: who is online, on which port, with what profile."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from api.rehearsal.nas_profile import Profile
from api.rehearsal.nas_wire import Datagram, Type, number

# Carrier-grade NAT space (RFC 6598): what a line gets when the server names no address.
_POOL = IPv4Network("100.64.0.0/10")
# A simulated line uses a tenth of its rate: bits per second * milliseconds / this = octets.
_BITS_MS_PER_OCTET = 8 * 1_000 * 10
_UNLIMITED_BPS = 1_000_000_000

# What names a session in a CoA- or Disconnect-Request (RFC 5176 section 3).
_IDENTIFIERS = (
    Type.USER_NAME,
    Type.NAS_PORT,
    Type.FRAMED_IP_ADDRESS,
    Type.CALLING_STATION_ID,
    Type.ACCT_SESSION_ID,
    Type.NAS_PORT_ID,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A subscriber's side: it outlives its sessions and redials with the same credentials."""

    username: str
    password: str = field(repr=False)
    port: int

    @property
    def mac(self) -> str:
        """A locally administered address, unique by port, as RouterOS writes it."""
        return ":".join(f"{octet:02X}" for octet in (0x020000000000 | self.port).to_bytes(6, "big"))

    @property
    def own_ipv4(self) -> IPv4Address:
        return _POOL[self.port % (_POOL.num_addresses - 2) + 1]


@dataclass(slots=True)
class Session:
    """One dial-in of a line. `class_value` is carried back in accounting as it came."""

    line: Line
    acct_session_id: str
    ipv4: IPv4Address
    profile: Profile
    class_value: bytes | None
    interim_s: int
    started_at: float = field(default_factory=time.monotonic)
    counted_at: float = field(default_factory=time.monotonic)
    input_octets: int = 0
    output_octets: int = 0
    busy: bool = False

    @property
    def seconds(self) -> int:
        return int(time.monotonic() - self.started_at)

    def count_traffic(self) -> None:
        """Add what went through since the last count. Input is the subscriber's upload."""
        now = time.monotonic()
        elapsed_ms = int((now - self.counted_at) * 1_000)
        self.counted_at = now
        up_bps = self.profile.rate_up_bps or _UNLIMITED_BPS
        down_bps = self.profile.rate_down_bps or _UNLIMITED_BPS
        self.input_octets += up_bps * elapsed_ms // _BITS_MS_PER_OCTET
        self.output_octets += down_bps * elapsed_ms // _BITS_MS_PER_OCTET

    def value_of(self, identifier: int) -> bytes:
        """What this session has under one of the attributes that may name it."""
        match identifier:
            case Type.USER_NAME:
                return self.line.username.encode()
            case Type.NAS_PORT:
                return number(self.line.port)
            case Type.FRAMED_IP_ADDRESS:
                return self.ipv4.packed
            case Type.CALLING_STATION_ID:
                return self.line.mac.encode()
            case Type.ACCT_SESSION_ID:
                return self.acct_session_id.encode()
            case Type.NAS_PORT_ID:
                return port_name(self.line.port).encode()
            case _:
                raise ValueError(f"attribute {identifier} names no session")


def port_name(port: int) -> str:
    """NAS-Port-Id of a line."""
    return f"ether1-pppoe-{port}"


class Sessions:
    """Open sessions by their Acct-Session-Id, and by user for the frequent question."""

    def __init__(self) -> None:
        self._by_id: dict[bytes, Session] = {}
        self._by_user: dict[bytes, dict[bytes, Session]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._by_id.values()))

    def add(self, session: Session) -> None:
        key = session.acct_session_id.encode()
        self._by_id[key] = session
        self._by_user.setdefault(session.line.username.encode(), {})[key] = session

    def clear(self) -> None:
        self._by_id.clear()
        self._by_user.clear()

    def drop(self, session: Session) -> bool:
        """Take a session out. False if it was gone already."""
        key = session.acct_session_id.encode()
        if self._by_id.pop(key, None) is None:
            return False
        username = session.line.username.encode()
        del self._by_user[username][key]
        if not self._by_user[username]:
            del self._by_user[username]
        return True

    def __contains__(self, session: Session) -> bool:
        return session.acct_session_id.encode() in self._by_id

    def of(self, username: str) -> tuple[Session, ...]:
        return tuple(self._by_user.get(username.encode(), {}).values())

    def matching(self, named: Mapping[int, bytes]) -> list[Session]:
        """The sessions that have every value in `named`."""
        candidates: Iterable[Session] = self
        if (session_id := named.get(Type.ACCT_SESSION_ID)) is not None:
            found = self._by_id.get(session_id)
            candidates = () if found is None else (found,)
        elif (username := named.get(Type.USER_NAME)) is not None:
            candidates = self._by_user.get(username, {}).values()
        return [
            session
            for session in candidates
            if all(session.value_of(kind) == value for kind, value in named.items())
        ]


def identifiers(request: Datagram) -> dict[int, bytes]:
    """The attributes of a CoA- or Disconnect-Request that name a session."""
    return {kind: value for kind, value in request.attributes if kind in _IDENTIFIERS}
