"""Hints: what a user can do about an error that a wrong setting usually causes."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from attrs import evolve

from ..exceptions import ErrorKind

if TYPE_CHECKING:
    from ..config import Endpoint, Settings
    from ..exceptions import AGBError

FOREIGN = "is_foreign"
"""The name in ``error.extra`` that marks an answer without the envelope of the API: another server may have sent it."""


def add_hint(error: AGBError, endpoint: Endpoint, settings: Settings) -> None:
    """Add the hint about the endpoint or the API key to the text of an error of a call to the API, if there is one."""
    hint = _hint(error, endpoint, settings)
    if hint:
        error.message = f"{error.message}; {hint}"
        error.args = (error.message, *error.args[1:])


def _hint(error: AGBError, endpoint: Endpoint, settings: Settings) -> str:
    if error.kind is ErrorKind.BAD_CREDENTIALS:
        return f"the API key is from {_place(settings.api_key.source)}"
    if error.extra.pop(FOREIGN, False):
        return f"is {endpoint}, from {_place(settings.endpoint.source)}, the AGB API?"
    if error.kind is not ErrorKind.UNREACHABLE:
        return ""
    if "WRONG_VERSION_NUMBER" in error.message:
        return f"the server does not speak TLS; for plain HTTP, set the endpoint to {evolve(endpoint, scheme='http')}"
    if (
        "Connection refused" in error.message
        and "(that is the proxy" not in error.message
        and _is_loopback(endpoint.host)
    ):
        return "is the local runtime (agb serve) running, and is this its port?"
    return ""


def _place(source: str) -> str:
    """Return the source of a setting as the part of a sentence."""
    kind, _, name = source.partition(" ")
    return {"environment": f"the environment variable {name}", ".env": f"{name} in ./.env"}.get(kind, f"the {kind}")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
