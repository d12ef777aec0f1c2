"""What may go wrong by no fault of ours, and how a command says so: one line, with what to do."""

from pydantic import ValidationError

from api.importer import ImportRefused
from api.node import PortInUse
from api.operators import NameTaken
from api.store.embedded import EmbeddedError
from api.store.secrets import LostKey
from api.store.uow import DatabaseAway
from radius.errors import LocalError


class Refused(Exception):
    """A command was asked for something that cannot be; the text says what to do."""


EXPECTED = (
    DatabaseAway,
    EmbeddedError,
    ImportRefused,
    LocalError,
    LostKey,
    NameTaken,
    OSError,
    PortInUse,
    Refused,
    ValidationError,
)


def sentence(error: BaseException) -> str:
    """One line for a person.

    Settings are named as their environment variables; values are left out, they may be secret.
    """
    if isinstance(error, ValidationError):
        wrong = [
            f"RELIGA_{'_'.join(map(str, found['loc'])).upper()}: {found['msg']}"
            for found in error.errors(include_input=False, include_url=False)
        ]
        return "; ".join(wrong)
    return " ".join(str(error).split())
