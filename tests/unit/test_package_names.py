"""The five rooms have generic names: nothing else installed here may ship one of them."""

from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("api", "billing", "config", "network", "radius")


@pytest.mark.parametrize("room", ROOMS)
def test_no_other_distribution_ships_a_package_of_our_name(room: str) -> None:
    owners = set(packages_distributions().get(room, ())) - {"religa"}
    assert not owners, f"{owners} also ship a package {room!r}: an import could find theirs"


@pytest.mark.parametrize("room", ROOMS)
def test_an_import_of_a_room_finds_ours(room: str) -> None:
    module = __import__(room)
    assert Path(str(module.__file__)).parent == ROOT / room


def test_every_package_of_ours_is_listed_for_the_distribution() -> None:
    listed = (ROOT / "pyproject.toml").read_text()
    for room in ROOMS:
        for init in (ROOT / room).rglob("__init__.py"):
            package = ".".join(init.parent.relative_to(ROOT).parts)
            assert f'"{package}"' in listed, f"{package} is missing under [tool.setuptools]"
