"""Signed bodies, both ways: HMAC-SHA-256 over the time and the raw body.

The time keeps an old body from being told again; within the skew a repeat does no harm, because
everything that is told is taken once.
"""

import hmac
from hashlib import sha256

TIMESTAMP = "X-Religa-Timestamp"
SIGNATURE = "X-Religa-Signature"
SKEW_S = 300


class BadSignature(ValueError):
    """Not signed by whoever shares the secret, or not lately; the text says which."""


def sign(secret: str, timestamp_s: int, body: bytes) -> str:
    """The value of the signature's header.

    >>> sign("secret", 1, b"{}")[:16]
    'sha256=1122767b1'
    """
    signed = hmac.new(secret.encode(), f"{timestamp_s}.".encode() + body, sha256)
    return f"sha256={signed.hexdigest()}"


def check(secret: str, timestamp: str, signature: str, body: bytes, now_s: float) -> None:
    """Let pass what was signed with this secret in the last minutes.

    Args:
        secret: shared; empty lets nothing pass.
        timestamp: the header's text, seconds of Unix time.
        signature: the header's text.
        body: the raw body.
        now_s: Unix time.

    Raises:
        BadSignature: it was not.
    """
    if not secret or not timestamp.isascii() or not timestamp.isdecimal() or len(timestamp) > 12:
        raise BadSignature(f"{TIMESTAMP} holds the seconds of Unix time at which it was signed")
    wanted = sign(secret, int(timestamp), body)
    if not hmac.compare_digest(wanted.encode(), signature.encode()):
        raise BadSignature(
            f"{SIGNATURE} is sha256= and the HMAC-SHA-256, in hex, of the timestamp, a dot and"
            " the raw body"
        )
    if abs(now_s - int(timestamp)) > SKEW_S:
        raise BadSignature(f"it was signed over {SKEW_S} s ago, or ahead; see that clocks agree")
