"""Whose fault it is.

RadiusError
├── PeerError     what arrived is malformed, unauthentic or unexpected: stay silent, count it
└── LocalError    we cannot do what was asked of us: stay silent too, and tell the operator
    └── JournalFull    accounting is no longer acknowledged until the journal drains
"""


class RadiusError(Exception):
    """The root, for those who only want to know that it was RADIUS."""


class PeerError(RadiusError):
    """Their fault. Nothing is answered (RFC 2865 section 3: silently discard).

    The text names numbers only, never octets of the peer, so it is safe to log.

    Attributes:
        counter: what the operator sees counted: `malformed`, `unknown_client`, `unexpected_code`,
            `bad_authenticator`, `bad_message_authenticator`, `missing_message_authenticator`,
            `proxy_state_without_ma`.
    """

    counter: str

    def __init__(self, message: str, counter: str = "malformed") -> None:
        super().__init__(message)
        self.counter = counter


class LocalError(RadiusError):
    """Our fault: a value that does not fit the wire, a file that cannot be written."""


class JournalFull(LocalError):  # a state of the journal, named as the operator sees it
    """The journal reached its bound or the disk is full."""
