"""Where a customer is: the address, and of it what decides which holidays bind a cut.

Source: IBGE's codes of states and municipalities (a municipality's begins with its state's); a CEP
is eight digits without a check digit.
"""

import re
from dataclasses import dataclass
from typing import Final

# Letters and IBGE's two digits.
STATES: Final = {
    "RO": "11", "AC": "12", "AM": "13", "RR": "14", "PA": "15", "AP": "16", "TO": "17",
    "MA": "21", "PI": "22", "CE": "23", "RN": "24", "PB": "25", "PE": "26", "AL": "27",
    "SE": "28", "BA": "29", "MG": "31", "ES": "32", "RJ": "33", "SP": "35", "PR": "41",
    "SC": "42", "RS": "43", "MS": "50", "MT": "51", "GO": "52", "DF": "53",
}  # fmt: skip
_BY_DIGITS: Final = {digits: state for state, digits in STATES.items()}
_CEP: Final = re.compile(r"[0-9]{5}-?[0-9]{3}")
_CITY_CODE: Final = re.compile(r"[0-9]{7}")


class InvalidPlace(ValueError):
    """Not an address that exists; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose holidays count: a state's letters and a municipality's IBGE code, each may be empty.

    A code is never without its state.
    """

    state: str = ""
    city_code: str = ""

    def within(self) -> tuple["Place", ...]:
        """The country, the state and the city, as far as they are known: all of them bind."""
        return tuple(dict.fromkeys((COUNTRY, Place(self.state), self)))


COUNTRY: Final = Place()


def parse_place(state: str | None, city_code: str | None) -> Place:
    """A place as people write it; the state may be left to the city's code.

    >>> parse_place(None, "3550308")
    Place(state='SP', city_code='3550308')

    Raises:
        InvalidPlace: no such state, no such code, or a code of another state.
    """
    letters = parse_state(state) if state else ""
    if not city_code:
        return Place(letters)
    code = parse_city_code(city_code)
    found = _BY_DIGITS[code[:2]]
    if letters and letters != found:
        raise InvalidPlace(f"city code {code} is of {found}, not of {letters}; correct one of them")
    return Place(found, code)


def parse_state(text: str) -> str:
    """Two letters of a Brazilian state, in upper case.

    Raises:
        InvalidPlace: there is none of these letters.
    """
    letters = text.strip().upper()
    if letters not in STATES:
        names = ", ".join(sorted(STATES))
        raise InvalidPlace(f"no such state: {text!r}; use one of {names}")
    return letters


def parse_city_code(text: str) -> str:
    """IBGE's seven digits of a municipality.

    Raises:
        InvalidPlace: not seven digits, or they begin with no state's two.
    """
    code = text.strip()
    if not _CITY_CODE.fullmatch(code) or code[:2] not in _BY_DIGITS:
        raise InvalidPlace(
            f"{text!r} is no IBGE code of a municipality; it is seven digits, as 3550308"
        )
    return code


def parse_cep(text: str) -> str:
    """Eight digits of a postal code, from `NNNNN-NNN` or `NNNNNNNN`.

    >>> parse_cep("01310-100")
    '01310100'

    Raises:
        InvalidPlace: not eight digits, or all of them zero.
    """
    written = text.strip()
    if not _CEP.fullmatch(written) or not int(written.replace("-", "")):
        raise InvalidPlace(f"{text!r} is no CEP; it is eight digits, as 01310-100")
    return written.replace("-", "")
