"""Secrets at rest: AES-GCM bound to table, row and column, so a sealed value cannot be moved.

CHAP and MS-CHAP need subscribers' passwords back in clear, so hashing them is not open to us.
"""

import contextlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.staff_tables import facts
from config.settings import Settings

_VERSION = b"\x01"
_NONCE_LENGTH = 12
_CHECK = ("facts", "key_check", "value")
_CHECK_CLEAR = b"religa"
_STORED_CHECK = select(facts.c.value).where(facts.c.name == "key_check")


class SecretError(Exception):
    """A sealed value does not open: another key, another place, or a changed byte."""


class BadKey(ValueError):
    """The setting or the file holds no key at all; the text names it."""


class LostKey(Exception):
    """The key in use is not the one that sealed what the database holds."""


class SecretBox:
    """Seals and opens with keys derived from one master key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("the secret key is 32 bytes")
        self._key = key
        self._aead = AESGCM(self.derive("secrets at rest"))

    def __repr__(self) -> str:
        return "SecretBox(...)"

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose; no purpose can work out another's."""
        return HKDF(SHA256(), 32, salt=None, info=b"religa " + purpose.encode()).derive(self._key)

    def seal(self, table: str, row: str, column: str, clear: bytes) -> bytes:
        """Encrypt for one place only. `row` is what names the row: logins' username, NAS's name."""
        nonce = os.urandom(_NONCE_LENGTH)
        return _VERSION + nonce + self._aead.encrypt(nonce, clear, _place(table, row, column))

    def open(self, table: str, row: str, column: str, sealed: bytes) -> bytes:
        """Decrypt what `seal` made for this place.

        Raises:
            SecretError: it was sealed by another key, for another place, or was changed.
        """
        version, nonce, body = (
            sealed[:1],
            sealed[1 : 1 + _NONCE_LENGTH],
            sealed[1 + _NONCE_LENGTH :],
        )
        if version != _VERSION:
            raise SecretError(f"{table}.{column}: sealed by an unknown version of the program")
        try:
            return self._aead.decrypt(nonce, body, _place(table, row, column))
        except (InvalidTag, ValueError) as error:
            raise SecretError(f"{table}.{column}: the sealed value does not open") from error


def _place(table: str, row: str, column: str) -> bytes:
    return f"{table}:{row}:{column}".encode()


def load_key(settings: Settings) -> bytes:
    """The master key: from the setting, else from `secret.key` in the data directory.

    Where there is none yet, a new one is made beside its place; `keep_key` puts it there once the
    database is known to hold nothing that an older key sealed.

    Raises:
        BadKey: the setting or the file is not 64 hexadecimal digits.
    """
    given = settings.secret_key.get_secret_value()
    if given:
        return _parse(given, "RELIGA_SECRET_KEY")
    path, new = _key_paths(settings)
    if not path.exists() and not new.exists():
        _make(new)
    found = path if path.exists() else new
    return _parse(found.read_text(), str(found))


def keep_key(settings: Settings) -> None:
    """Put a new key into its place. Of two that start at once, the first one's key stands."""
    path, new = _key_paths(settings)
    if new.exists():
        # link() refuses to replace.
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
        new.unlink(missing_ok=True)


def drop_new_key(settings: Settings) -> None:
    """Forget a new key that fits no database, so that it is never taken for the lost one."""
    _key_paths(settings)[1].unlink(missing_ok=True)


def _key_paths(settings: Settings) -> tuple[Path, Path]:
    return settings.data_dir / "secret.key", settings.data_dir / "secret.key.new"


def _parse(text: str, source: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise BadKey(f"{source}: the secret key is 64 hexadecimal digits")
    return key


def _make(path: Path) -> None:
    """Write a fresh key so that it is there whole or not at all, readable by us alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    # link() refuses to replace: of two that start at once, the first one's key stands.
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


async def check_key(connection: AsyncConnection, box: SecretBox) -> None:
    """Compare the key with the database's check value; the first start stores that value.

    Raises:
        LostKey: what the database holds was sealed by another key.
    """
    stored = await connection.scalar(_STORED_CHECK)
    if stored is None:
        value = box.seal(*_CHECK, _CHECK_CLEAR).hex()
        statement = insert(facts).values(name="key_check", value=value)
        await connection.execute(statement.on_conflict_do_nothing())
        stored = await connection.scalar(_STORED_CHECK)
    try:
        box.open(*_CHECK, bytes.fromhex(str(stored)))
    except SecretError as error:
        raise LostKey(
            "the secret key does not open what this database holds: put the original secret.key"
            " back into the data directory (from its backup), or set RELIGA_SECRET_KEY to it;"
            " without it the passwords and NAS secrets must be imported again into a new database"
        ) from error
