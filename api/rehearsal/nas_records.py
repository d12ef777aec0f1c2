"""What the simulated NAS says of its sessions: attributes of Access- and Accounting-Requests."""

import os
import time
from collections.abc import Sequence
from enum import IntEnum
from ipaddress import IPv4Address
from typing import Literal, assert_never, get_args

from api.rehearsal.nas_session import Line, Session, port_name
from api.rehearsal.nas_wire import (
    Attribute,
    Type,
    chap_password,
    hidden_password,
    number,
    vendor_specific,
)
from radius.credentials import mschap2_response, nt_hash

Method = Literal["pap", "chap", "mschap2"]
METHODS: tuple[Method, ...] = get_args(Method)

_MICROSOFT = 311
_FRAMED = number(2)
_PPP = number(1)
_VIRTUAL = number(5)
_BY_RADIUS = number(1)


class Status(IntEnum):
    START = 1
    STOP = 2
    INTERIM = 3
    ON = 7
    OFF = 8


class Cause(IntEnum):
    """Acct-Terminate-Cause (RFC 2866 section 5.10)."""

    USER_REQUEST = 1
    ADMIN_RESET = 6


def nas_attributes(name: str, address: str) -> list[Attribute]:
    return [
        (Type.NAS_IP_ADDRESS, IPv4Address(address).packed),
        (Type.NAS_IDENTIFIER, name.encode()),
    ]


def _line_attributes(line: Line) -> list[Attribute]:
    return [
        (Type.USER_NAME, line.username.encode()),
        (Type.NAS_PORT, number(line.port)),
        (Type.NAS_PORT_ID, port_name(line.port).encode()),
        (Type.NAS_PORT_TYPE, _VIRTUAL),
        (Type.CALLING_STATION_ID, line.mac.encode()),
        (Type.SERVICE_TYPE, _FRAMED),
        (Type.FRAMED_PROTOCOL, _PPP),
    ]


def access_attributes(
    line: Line, method: Method, authenticator: bytes, secret: bytes
) -> list[Attribute]:
    """A login attempt; the NAS's own attributes not included."""
    return [*_line_attributes(line), *_credentials(line, method, authenticator, secret)]


def _credentials(
    line: Line, method: Method, authenticator: bytes, secret: bytes
) -> list[Attribute]:
    password = line.password.encode()
    match method:
        case "pap":
            return [(Type.USER_PASSWORD, hidden_password(password, authenticator, secret))]
        case "chap":
            challenge = os.urandom(16)
            return [
                (Type.CHAP_PASSWORD, chap_password(password, challenge)),
                (Type.CHAP_CHALLENGE, challenge),
            ]
        case "mschap2":
            challenge = os.urandom(16)
            response = mschap2_response(
                0, nt_hash(line.password), line.username.encode(), challenge, os.urandom(16)
            )
            return [
                vendor_specific(_MICROSOFT, 11, challenge),
                vendor_specific(_MICROSOFT, 25, response),
            ]
        case _:
            assert_never(method)


def accounting_attributes(
    session: Session, status: Status, cause: Cause | None = None
) -> list[Attribute]:
    """A record of one session; the NAS's own attributes not included."""
    attributes = [
        (int(Type.ACCT_STATUS_TYPE), number(status)),
        (int(Type.ACCT_SESSION_ID), session.acct_session_id.encode()),
        *_line_attributes(session.line),
        (int(Type.FRAMED_IP_ADDRESS), session.ipv4.packed),
        (int(Type.ACCT_AUTHENTIC), _BY_RADIUS),
        *happened_now(),
    ]
    if session.class_value is not None:
        attributes.append((Type.CLASS, session.class_value))
    if status is not Status.START:
        attributes += _counters(session)
    if cause is not None:
        attributes.append((Type.ACCT_TERMINATE_CAUSE, number(cause)))
    return attributes


def _counters(session: Session) -> Sequence[Attribute]:
    received_high, received_low = divmod(session.input_octets, 1 << 32)
    sent_high, sent_low = divmod(session.output_octets, 1 << 32)
    return (
        (Type.ACCT_SESSION_TIME, number(session.seconds)),
        (Type.ACCT_INPUT_OCTETS, number(received_low)),
        (Type.ACCT_INPUT_GIGAWORDS, number(received_high)),
        (Type.ACCT_OUTPUT_OCTETS, number(sent_low)),
        (Type.ACCT_OUTPUT_GIGAWORDS, number(sent_high)),
    )


def happened_now() -> list[Attribute]:
    """When: resends are the same octets, so it is the Event-Timestamp that keeps the time."""
    return [
        (Type.EVENT_TIMESTAMP, number(int(time.time()))),
        (Type.ACCT_DELAY_TIME, number(0)),
    ]
