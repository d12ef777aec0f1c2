"""The UDP ports of a RADIUS node: one socket a worker, and the kernel dealing datagrams among them.

Plain SO_REUSEPORT deals by source address and port, and one big BNG sends all it has from one
port. So the kernel is told to deal by the Identifier, the second octet of every RADIUS packet: one
NAS then keeps all workers busy, and a retransmission, which keeps its Identifier, still meets the
worker that remembers the reply.
"""

import asyncio
import ctypes
import logging
import socket
import struct
from collections.abc import Sequence
from typing import Final

from config.settings import Settings

log = logging.getLogger(__name__)

BIND_PATIENCE_S: Final = 3.0

# Linux; not named by the socket module.
_SO_ATTACH_REUSEPORT_CBPF: Final = 51
_LOAD_OCTET: Final = 0x30  # BPF_LD | BPF_B | BPF_ABS: offset 0 is the first octet of the datagram
_MODULO: Final = 0x94  # BPF_ALU | BPF_MOD | BPF_K
_RETURN: Final = 0x16  # BPF_RET | BPF_A
_IDENTIFIER_AT: Final = 1


class PortInUse(Exception):
    """Another process listens there already. Says which port and what to do."""


async def bind_sockets(settings: Settings, port: int, workers: int) -> list[list[socket.socket]]:
    """Sockets for each worker on one UDP port; refuses a port that somebody else serves.

    SO_REUSEPORT alone would let a second server silently share the port, so it is first taken
    without it. Workers of a node that just died may hold it for a moment.
    """
    families = [(socket.AF_INET6 if ":" in settings.radius_host else socket.AF_INET)]
    hosts = [settings.radius_host]
    if settings.radius_host == "0.0.0.0" and socket.has_dualstack_ipv6():  # noqa: S104
        families.append(socket.AF_INET6)
        hosts.append("::")
    deadline = asyncio.get_running_loop().time() + BIND_PATIENCE_S
    while True:
        try:
            for family, host in zip(families, hosts, strict=True):
                with _open(family, host, port, share=False):
                    pass
            groups = [
                [_open(family, host, port, share=True) for _ in range(workers)]
                for family, host in zip(families, hosts, strict=True)
            ]
            break
        except OSError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise PortInUse(
                    f"UDP port {port} of {settings.radius_host} cannot be taken"
                    f" ({error.strerror}); stop what uses it (ss -ulpn 'sport = :{port}')"
                    " or set RELIGA_RADIUS_AUTH_PORT / RELIGA_RADIUS_ACCT_PORT"
                ) from error
            await asyncio.sleep(0.1)
    for group in groups:
        _deal_by_identifier(group)
    return [list(sockets) for sockets in zip(*groups, strict=True)]


def _open(family: int, host: str, port: int, *, share: bool) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if share:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind((host, port))
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


def _deal_by_identifier(group: Sequence[socket.socket]) -> None:
    """Have the kernel pick socket number Identifier modulo their count, in the order of binding."""
    if len(group) == 1:
        return
    steps = ((_LOAD_OCTET, _IDENTIFIER_AT), (_MODULO, len(group)), (_RETURN, 0))
    program = b"".join(struct.pack("=HBBI", code, 0, 0, operand) for code, operand in steps)
    held = ctypes.create_string_buffer(program)  # the kernel copies it during the call
    described = struct.pack("@HP", len(steps), ctypes.addressof(held))
    try:
        group[0].setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, described)
    except OSError as error:
        log.warning("one NAS port will load one worker only: %s", error.strerror)
