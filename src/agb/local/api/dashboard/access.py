"""Who may use the dashboard: a code that is valid once lets a browser in, which has a cookie from then on."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from ..request import same_secret

HOST = "dashboard.localhost"
"""The host name at which the dashboard is served."""
CODE_SECONDS = 24 * 3600.0
COOKIE_SECONDS = 12 * 3600.0
_MOST = 100
"""Codes, and cookies, that are valid at the same time; the oldest ones end first."""


def dashboard_origin(server_url: str) -> str:
    """Return scheme and host of the dashboard of a server."""
    port = urlsplit(server_url).port
    return f"http://{HOST}{f':{port}' if port else ''}"


class Access:
    """The codes and cookies of a runtime. Only one that was made here, and is not too old, is valid."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.cookie = f"agb-dashboard-{secrets.token_hex(4)}"
        """The name of the cookie: two runtimes on one machine share the cookies of a host name."""
        self._clock = clock
        self._codes: dict[str, float] = {}
        self._tokens: dict[str, float] = {}

    def new_code(self) -> str:
        """Return a code that lets one browser in."""
        return self._new(self._codes, CODE_SECONDS)

    def redeem(self, code: str) -> str | None:
        """Return the value of a new cookie for a code, which is not valid from now on; None if it is not valid now."""
        known = self._known(self._codes, code)
        if known is None:
            return None
        del self._codes[known]
        return self._new(self._tokens, COOKIE_SECONDS)

    def is_valid(self, token: str) -> bool:
        """Return whether this is the value of a cookie."""
        return self._known(self._tokens, token) is not None

    def _new(self, known: dict[str, float], seconds: float) -> str:
        now = self._clock()
        for secret in [secret for secret, end in known.items() if end <= now]:
            del known[secret]
        while len(known) >= _MOST:
            del known[next(iter(known))]
        made = secrets.token_urlsafe(32)
        known[made] = now + seconds
        return made

    def _known(self, known: dict[str, float], given: str) -> str | None:
        # All are compared, so that the time does not depend on which one matches.
        matching = [secret for secret in known if same_secret(given, secret)]
        return next((secret for secret in matching if known[secret] > self._clock()), None)
