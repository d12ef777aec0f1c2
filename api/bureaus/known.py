"""The bureaus that can be reached, and where documents may go. Loads no HTTP client."""

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from api.bureaus import boa_vista, serasa, spc
from api.bureaus.shape import Shape

SHAPES: Final[Mapping[str, Shape]] = {
    "spc": spc.SHAPE,
    "serasa": serasa.SHAPE,
    "boa_vista": boa_vista.SHAPE,
}


def check_url(url: str) -> str:
    """The base URL of a bureau.

    Raises:
        ValueError: not https (http only towards this machine), or with user, query or fragment.
    """
    try:
        parsed = urlsplit(url)
        host, _ = parsed.hostname, parsed.port
    except ValueError as error:
        raise ValueError("give a base URL, as https://bureau.example/v1") from error
    if parsed.username or parsed.password or parsed.query or parsed.fragment or not host:
        raise ValueError("give a base URL without user, query and fragment; credentials go apart")
    if parsed.scheme != "https" and not (parsed.scheme == "http" and _is_loopback(host)):
        raise ValueError("documents go out over https only; http is for this machine")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
