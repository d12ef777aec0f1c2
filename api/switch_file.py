"""The kill switch that needs no database: a file in the data directory stops every cut.

Any file of that name does, an empty one too (`touch var/cuts-off`): whoever carries a cut looks for
it right before. What cannot be looked at counts as standing.
"""

import contextlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "cuts-off"
_READ_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Note:
    """What the file says of itself; of a file that a person made, nothing."""

    author: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SwitchFile:
    """The file of one machine."""

    data_dir: Path

    @property
    def path(self) -> Path:
        return self.data_dir / NAME

    def stands(self) -> bool:
        """Whether cuts are off here. It costs microseconds."""
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    def read(self) -> Note | None:
        """What stands in it; None: there is none."""
        try:
            with self.path.open("rb") as file:
                text = file.read(_READ_MAX).decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            return Note()
        with contextlib.suppress(ValueError, RecursionError):
            said = json.loads(text)
            if isinstance(said, dict):
                return Note(_line(said.get("author", "")), _line(said.get("reason", "")))
        return Note(reason=_line(text))

    def put(self, author: str, reason: str) -> None:
        """Switch cuts off here: on the disk before it returns; one that stands stays as it is.

        Raises:
            OSError: it cannot be written, as where there is no such directory.
        """
        if self.stands():
            return
        made = self.path.with_suffix(".new")
        descriptor = os.open(
            made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, stat.S_IRUSR | stat.S_IWUSR
        )
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(Note(author, reason)), file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        made.replace(self.path)
        self._sync()

    def lift(self) -> bool:
        """Let cuts go on, as far as this file says; False: it did not stand.

        Raises:
            OSError: it cannot be removed.
        """
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        self._sync()
        return True

    def _sync(self) -> None:
        descriptor = os.open(self.data_dir, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _line(said: object) -> str:
    """One line that a database takes: what anybody put into the file must stop no sweep."""
    text = str(said).encode("utf-8", "replace").decode()
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:500]
