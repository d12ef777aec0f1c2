"""The payer's document: CPF of a person, CNPJ of a company (with letters since July 2026).

Documents are text: compared, stored and sorted as upper-case characters without punctuation.
Source: check digits by `stdnum`; alphanumeric CNPJ after IN RFB 2.229/2024.
"""

from stdnum.br import cnpj, cpf
from stdnum.exceptions import ValidationError

CPF_LENGTH = 11
CNPJ_LENGTH = 14


class InvalidDocument(ValueError):
    """Not a CPF and not a CNPJ. The message never repeats the document: it is personal data."""


def parse_document(text: str) -> str:
    """Normalise a CPF or CNPJ.

    >>> parse_document("12.abc.345/01de-35")
    '12ABC34501DE35'

    Raises:
        InvalidDocument: wrong length, foreign characters, wrong check digits, or one character
            repeated all along (which the check digits alone would let pass).
    """
    compact = text.strip().translate(_PUNCTUATION).upper()
    if not compact:
        raise InvalidDocument("the document is empty; give a CPF or a CNPJ")
    if not (compact.isascii() and compact.isalnum()):
        raise InvalidDocument(
            "the document has characters that no CPF or CNPJ has; use digits, letters, . - / only"
        )
    if len(compact) == CPF_LENGTH:
        kind, check = "CPF", cpf.validate
    elif len(compact) == CNPJ_LENGTH:
        kind, check = "CNPJ", cnpj.validate
    else:
        raise InvalidDocument(
            f"a CPF has {CPF_LENGTH} digits and a CNPJ {CNPJ_LENGTH} characters,"
            f" but this document has {len(compact)}; check that none is missing"
        )
    if len(set(compact)) == 1:
        raise InvalidDocument(f"a {kind} does not repeat one character; ask for the real one")
    try:
        check(compact)
    except ValidationError as error:
        raise InvalidDocument(
            f"the check digits of this {kind} do not match; look for a mistyped character"
        ) from error
    return compact


def mask(document: str) -> str:
    """A normalised document as it may be shown where it need not be read in full.

    >>> mask("12345678909"), mask("12ABC34501DE35")
    ('***.456.789-**', '**.ABC.345/****-**')
    """
    if len(document) == CPF_LENGTH:
        return f"***.{document[3:6]}.{document[6:9]}-**"
    return f"**.{document[2:5]}.{document[5:8]}/****-**"


_PUNCTUATION = str.maketrans("", "", " .-/")
