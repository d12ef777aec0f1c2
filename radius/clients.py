"""Which NAS is asking: the longest prefix that holds its address, and what is known about it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Literal, cast

from radius import presence
from radius.codec import Secret
from radius.errors import PeerError
from radius.grant import Client

Require = Literal["yes", "no", "auto"]

# Addresses remembered; spoofed ones must not fill the memory.
_HOSTS_MAX: Final = 16_384


@dataclass(slots=True)
class Nas:
    """A client as a worker uses it. `require` moves once, from `auto`, with the first request."""

    nas_id: int
    network: IPv4Network | IPv6Network
    secret: Secret
    dialect: str
    require: Require
    dialect_octets: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.dialect_octets = self.dialect.encode()

    def digest(self, source: str) -> bytes:
        """8 octets for this NAS at this address: one network of NASes shares a row, not a fate."""
        return _digest(self.nas_id, source)

    def learn(self, *, signed: bool, eap: bool) -> bool:
        """Let a verified Access-Request decide `auto`; True if it did.

        EAP must be signed anyway (RFC 3579), so it says nothing about the other requests.
        """
        if self.require != "auto" or (signed and eap):
            return False
        self.require = "yes" if signed else "no"
        return True


class Clients:
    """All clients by address. Of one network written twice, the first counts.

    What `before` had learnt is kept for clients that are still set to `auto`.
    """

    def __init__(self, clients: Iterable[Client], before: "Clients | None" = None) -> None:
        self._exact: dict[IPv4Address | IPv6Address, Nas] = {}
        self._prefixes: list[Nas] = []
        self._hosts: dict[str, Nas | None] = {}
        self._learnt: dict[tuple[int, IPv4Network | IPv6Network], Nas] = {}
        known = {} if before is None else before._learnt
        for client in clients:
            key = (client.nas_id, client.network)
            require = cast("Require", client.require_message_authenticator)
            if require == "auto" and key in known:
                require = known[key].require
            nas = Nas(client.nas_id, client.network, Secret(client.secret), client.dialect, require)
            if client.require_message_authenticator == "auto":
                self._learnt[key] = nas
            if client.network.prefixlen == client.network.max_prefixlen:
                self._exact.setdefault(client.network.network_address, nas)
            else:
                self._prefixes.append(nas)
        self._prefixes.sort(key=lambda nas: nas.network.prefixlen, reverse=True)

    def find(self, host: str) -> Nas:
        """The client at this address, as a socket gives it.

        Raises:
            PeerError: `unknown_client`.
        """
        try:
            nas = self._hosts[host]
        except KeyError:
            if len(self._hosts) >= _HOSTS_MAX:
                self._hosts.clear()
            nas = self._hosts[host] = self._search(plain(host))
        if nas is None:
            raise PeerError("no such client; add it as a NAS", "unknown_client")
        return nas

    def _search(self, source: str) -> Nas | None:
        address = ip_address(source)
        exact = self._exact.get(address)
        if exact is not None:
            return exact
        return next((nas for nas in self._prefixes if address in nas.network), None)


@lru_cache(maxsize=4_096)
def _digest(nas_id: int, source: str) -> bytes:
    return presence.digest(nas_id.to_bytes(8, "big"), source.encode())


def plain(host: str) -> str:
    """An address as a socket gives it, without zone, and IPv4 as such behind an IPv6 socket.

    >>> plain("::ffff:192.0.2.1"), plain("fe80::1%eth0"), plain("192.0.2.1")
    ('192.0.2.1', 'fe80::1', '192.0.2.1')
    """
    if ":" not in host:
        return host
    return host.partition("%")[0].removeprefix("::ffff:")
