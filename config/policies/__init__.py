"""The delinquency policies that ship with the product, as documents for `billing.policy.parse`."""

import tomllib
from collections.abc import Mapping
from importlib import resources


def shipped() -> Mapping[str, Mapping[str, object]]:
    """Every shipped policy document, by name (the file's name without `.toml`)."""
    files = sorted(resources.files(__name__).iterdir(), key=lambda file: file.name)
    return {
        file.name.removesuffix(".toml"): tomllib.loads(file.read_text(encoding="utf-8"))
        for file in files
        if file.name.endswith(".toml")
    }
