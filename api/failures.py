"""What may go wrong by no fault of ours, and how a command says so: one line, with what to do."""


class Refused(Exception):
    """A command was asked for something that cannot be; the text says what to do."""


def is_expected(error: BaseException) -> bool:
    """Whether a command may say this in one line; anything else is a bug and shows itself whole."""
    # Whoever fails has time for these; whoever does not fail does not wait for them.
    from pydantic import ValidationError

    from api.importer import ImportRefused
    from api.operators import NameTaken
    from api.ports import PortInUse
    from api.store.embedded import EmbeddedError
    from api.store.secrets import BadKey, LostKey, SecretError
    from api.store.uow import DatabaseAway
    from radius.errors import LocalError

    known = (
        BadKey,
        DatabaseAway,
        EmbeddedError,
        ImportRefused,
        LocalError,
        LostKey,
        NameTaken,
        OSError,
        PortInUse,
        Refused,
        SecretError,
        ValidationError,
    )
    return isinstance(error, known)


def sentence(error: BaseException) -> str:
    """One line for a person.

    Settings are named as their environment variables; values are left out, they may be secret.
    """
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        wrong = [
            f"RELIGA_{'_'.join(map(str, found['loc'])).upper()}: {found['msg']}"
            for found in error.errors(include_input=False, include_url=False)
        ]
        return "; ".join(wrong)
    return " ".join(str(error).split())
