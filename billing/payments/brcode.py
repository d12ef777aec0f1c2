"""BR Code: the text behind a Pix QR code, the payer's "copia e cola". Pure text, no image.

Source: BCB, Manual de Padrões para Iniciação do Pix (EMV merchant-presented mode): fields are an
id of two digits, a length of two digits and the value; the last field is a CRC over all before it.
"""

import re
import unicodedata

GUI = "br.gov.bcb.pix"

_TXID = re.compile(r"[A-Za-z0-9]{1,25}")
_LOCATION = re.compile(r"[\x21-\x7e]{1,77}")
_NAME_MAX = 25
_CITY_MAX = 15
_AMOUNT_CENTS_MAX = 9_999_999_999_99


def static(
    key: str, name: str, city: str, *, amount_cents: int | None = None, txid: str | None = None
) -> str:
    """A code that names a Pix key, payable any number of times.

    Args:
        key: the receiver's Pix key, at most 77 printable ASCII characters.
        name: the receiver's name; accents are dropped, cut to 25 characters.
        city: the receiver's city; accents are dropped, cut to 15 characters.
        amount_cents: a fixed amount, or None for the payer to type one.
        txid: 1 to 25 letters and digits that come back with the payment.

    Raises:
        ValueError: an argument that the format cannot carry.
    """
    if not _LOCATION.fullmatch(key):
        raise ValueError(f"not a Pix key: {key!r}")
    if txid is not None and not _TXID.fullmatch(txid):
        raise ValueError(f"a static txid is 1 to 25 letters and digits: {txid!r}")
    account = _field("26", _field("00", GUI) + _field("01", key))
    return _sealed(
        _field("00", "01") + account + _merchant(name, city, amount_cents, txid or "***")
    )


def dynamic(location: str, name: str, city: str) -> str:
    """A code that names one charge at the provider, payable once.

    Args:
        location: the charge's URL without its scheme, at most 77 characters.
        name: as in `static`.
        city: as in `static`.

    Raises:
        ValueError: an argument that the format cannot carry.
    """
    if not _LOCATION.fullmatch(location) or "://" in location:
        raise ValueError(f"a location is a URL without its scheme: {location!r}")
    account = _field("26", _field("00", GUI) + _field("25", location))
    # The payer's app takes txid and amount from the location, so neither stands here.
    return _sealed(
        _field("00", "01") + _field("01", "12") + account + _merchant(name, city, None, "***")
    )


def crc(text: str) -> str:
    """CRC-16/CCITT-FALSE of ASCII text, four upper-case hex digits.

    >>> crc("123456789")
    '29B1'
    """
    register = 0xFFFF
    for octet in text.encode("ascii"):
        register ^= octet << 8
        for _ in range(8):
            register = (register << 1) ^ 0x1021 if register & 0x8000 else register << 1
        register &= 0xFFFF
    return f"{register:04X}"


def read(code: str) -> dict[str, str]:
    """The top-level fields of a code, by id, once its CRC has been checked.

    Raises:
        ValueError: not a BR Code, or a character of it was lost on the way.
    """
    if not code.isascii() or code[-8:-4] != "6304" or crc(code[:-4]) != code[-4:]:
        raise ValueError("not a BR Code: the CRC does not fit")
    fields: dict[str, str] = {}
    rest = code
    while rest:
        length = rest[2:4]
        if not length.isdecimal() or len(rest) < 4 + int(length):
            raise ValueError("not a BR Code: a field is longer than the text")
        fields[rest[:2]] = rest[4 : 4 + int(length)]
        rest = rest[4 + int(length) :]
    return fields


def _merchant(name: str, city: str, amount_cents: int | None, txid: str) -> str:
    amount = ""
    if amount_cents is not None:
        if not 0 < amount_cents <= _AMOUNT_CENTS_MAX:
            raise ValueError(f"an amount is 0.01 or more and has at most 13 signs: {amount_cents}")
        amount = _field("54", f"{amount_cents // 100}.{amount_cents % 100:02d}")
    return (
        _field("52", "0000")
        + _field("53", "986")
        + amount
        + _field("58", "BR")
        + _field("59", _plain(name, _NAME_MAX))
        + _field("60", _plain(city, _CITY_MAX))
        + _field("62", _field("05", txid))
    )


def _plain(text: str, length_max: int) -> str:
    """Text as banks' apps can show it: no accents, no controls, never empty."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    shown = " ".join("".join(c for c in bare if c.isprintable()).split())[:length_max].strip()
    if not shown:
        raise ValueError(f"nothing is left of {text!r} without its accents and signs")
    return shown


def _field(identifier: str, value: str) -> str:
    if not 1 <= len(value) <= 99:
        raise ValueError(f"field {identifier} is 1 to 99 characters: {value!r}")
    return f"{identifier}{len(value):02d}{value}"


def _sealed(body: str) -> str:
    return body + "6304" + crc(body + "6304")
