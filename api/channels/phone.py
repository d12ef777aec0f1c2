"""Phone numbers as E.164, read the way Brazilians write them.

Source: Anatel resolutions 263/2001 and 553/2010: area code of two digits, then nine digits that
begin with 9 (mobile) or eight that begin with 2 to 5 (landline).
"""

import re

from api.channels.channel import BadAddress

# What no area code is, of 11 to 99.
_NO_AREA = frozenset({23, 25, 26, 29, 36, 39, 52, 56, 57, 58, 59, 72, 76, 78})
_AREAS = frozenset(str(code) for code in range(11, 100) if code % 10 and code not in _NO_AREA)
_WRITTEN = re.compile(r"\+?[0-9 ().-]{8,30}")
_ABROAD = re.compile(r"\+(?!55)[1-9][0-9]{7,14}")


def e164(text: str, *, landline: bool = False) -> str:
    """The number with `+` and country code.

    Args:
        text: as it was typed.
        landline: whether a Brazilian landline is taken too.

    Raises:
        BadAddress: no such number can be.

    >>> e164("(11) 98765-4321"), e164("+351 912 345 678")
    ('+5511987654321', '+351912345678')
    """
    digits = re.sub(r"[^0-9+]", "", text)
    if _WRITTEN.fullmatch(text.strip()) and text.isascii():
        if _ABROAD.fullmatch(digits):
            return digits
        national = digits.removeprefix("+55")
        if len(national) in (12, 13) and national.startswith("55"):
            national = national[2:]
        national = national.removeprefix("0")
        area, number = national[:2], national[2:]
        mobile = len(number) == 9 and number[0] == "9"
        fixed = len(number) == 8 and number[0] in "2345"
        if area in _AREAS and "+" not in national and (mobile or (landline and fixed)):
            return f"+55{national}"
        if area in _AREAS and fixed:
            raise BadAddress(f"a landline takes no such message: {text!r:.40}")
    raise BadAddress(
        f"not a phone number: {text!r:.40}; write area code and number, as in 11 98765-4321, or"
        " with + and the country's code"
    )
