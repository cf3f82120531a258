"""Configuration: endpoint, API key and time-out, and the source of each value.

The order is: argument, environment variable, ``.env`` in the current directory (read without touching the
environment), default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import quote, urlsplit

from attrs import define, field, frozen

BROWSER_DATA_PATH = "/tmp/agb_browser_data"  # a path inside a session
"""Where a session keeps the browser's profile."""
BROWSER_FINGERPRINT_PERSIST_PATH = "/tmp/agb_browser_fingerprint"
"""Where a session keeps a browser fingerprint."""

DEFAULT_ENDPOINT = "sdk-api.agb.cloud"
DEFAULT_TIMEOUT_MS = 60_000
LONGEST_TIMEOUT_MS = 10**300
"""About what a float can hold, in which seconds are counted."""

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""The characters of a header's name."""

T = TypeVar("T")


def _check_endpoint(_: object, __: object, value: str) -> None:
    Endpoint.parse(value)


def _check_timeout_ms(_: object, __: object, value: object) -> None:
    _milliseconds(value, "timeout_ms of Config")


@define(slots=False)
class Config:
    """Endpoint and time-out of a client; both are checked, also when they are assigned.

    Args:
        endpoint: host name or URL of the API; without a scheme ``https://`` is meant.
        timeout_ms: the total time a call may take, in milliseconds.

    Raises:
        ValueError: the endpoint is no host name or URL, or the time-out is not a whole number above zero.
    """

    endpoint: str = field(validator=_check_endpoint)
    timeout_ms: int = field(default=DEFAULT_TIMEOUT_MS, validator=_check_timeout_ms)


def default_config() -> Config:
    """Return a new `Config` with the cloud's endpoint and 60 seconds."""
    return Config(DEFAULT_ENDPOINT, DEFAULT_TIMEOUT_MS)


def load_config(cfg: Config | None = None) -> Config:
    """Return ``cfg`` as it is, or a new `Config` from the environment, ``./.env`` and the defaults.

    Raises:
        ValueError: a value in the environment or in ``.env`` is not usable; the text names it and the reason.
    """
    if cfg is not None:
        return cfg
    dotenv = _DotEnv()
    return Config(_endpoint(None, dotenv).value, _timeout_ms(None, dotenv).value)


@frozen
class Setting(Generic[T]):
    """A value and its source: "argument", "environment AGB_ENDPOINT", ".env AGB_ENDPOINT", "default"."""

    value: T
    source: str


@frozen
class Settings:
    """All settings of a client, each with its source; the API key is not shown by ``repr``.

    Example:
        >>> import agb
        >>> client = agb.AGB(api_key="ako-example")
        >>> client.settings.timeout_ms
        Setting(value=60000, source='default')
        >>> client.settings.api_key.source
        'argument'
    """

    api_key: Setting[str] = field(repr=lambda setting: f"<from {setting.source}>")
    endpoint: Setting[str]
    timeout_ms: Setting[int]

    @property
    def timeout(self) -> float:
        """The total time a call may take, in seconds."""
        return self.timeout_ms.value / 1000


def settings(api_key: str = "", cfg: Config | None = None) -> Settings:
    """Return the settings for a client made with these arguments; the only I/O is reading ``./.env``, if needed.

    Raises:
        ValueError: no API key anywhere, or a value that cannot be used; the text names it and the remedy.
        TypeError: ``cfg`` is no configuration.
    """
    if cfg is not None and not (hasattr(cfg, "endpoint") and hasattr(cfg, "timeout_ms")):
        raise TypeError(f"cfg is a Config, such as Config('http://127.0.0.1:8000'), not {type(cfg).__name__}")
    dotenv = _DotEnv()
    return Settings(_api_key(api_key, dotenv), _endpoint(cfg, dotenv), _timeout_ms(cfg, dotenv))


@frozen
class Endpoint:
    """The parts of an endpoint, ready to address requests."""

    scheme: str
    host: str
    port: int
    prefix: str
    """The path before every request's own path, without a trailing slash."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """The scheme, host and port that connections are made to."""
        return self.scheme, self.host, self.port

    @property
    def netloc(self) -> str:
        """Host and port as in a Host header; the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.prefix}"

    @classmethod
    def parse(cls, url: str, name: str = "endpoint") -> Endpoint:
        """Return the parts of a URL or bare host; raise `ValueError` with the remedy if it is not one."""
        if not (isinstance(url, str) and url.strip()):
            raise ValueError(f"the {name} is empty; expected a host such as {DEFAULT_ENDPOINT!r} or a URL")
        text = url.strip()
        text = text if "://" in text else f"https://{text}"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"the {name} {url!r} is not a URL: {error}") from None
        if parts.username or parts.password:
            raise ValueError(f"the {name} must not contain a user name or password; the API key is given on its own")
        if parts.scheme not in _PORTS:
            raise ValueError(f"the {name} {url!r} begins with {parts.scheme}://; expected http:// or https://")
        if not parts.hostname:
            raise ValueError(f"the {name} {url!r} names no host; expected something like {DEFAULT_ENDPOINT!r}")
        if parts.query or parts.fragment:
            raise ValueError(f"the {name} {url!r} must not contain a query or fragment")
        if port == 0:
            raise ValueError(f"the {name} {url!r} has port 0, to which nothing can be sent")
        host = _host(parts.hostname)
        if not host:
            raise ValueError(f"the {name} {url!r} has no valid host name; expected something like {DEFAULT_ENDPOINT!r}")
        path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], path)


_PORTS = {"http": 80, "https": 443}


_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?")


def _host(name: str) -> str:
    """Return a host in the form used in requests, an address or an ASCII name; ``""`` if it is not valid."""
    try:
        return str(ip_address(name))
    except ValueError:
        pass
    try:
        host = name.encode("idna").decode("ascii")
    except UnicodeError:  # an empty or too long label, or characters that are not allowed
        return ""
    return host if _HOST_NAME.fullmatch(host) else ""


class _DotEnv:
    """``./.env``, read at the first lookup."""

    def __init__(self) -> None:
        self._values: Mapping[str, str | None] | None = None

    def get(self, name: str) -> str | None:
        if self._values is None:
            path = Path.cwd() / ".env"
            if path.is_file():
                from dotenv import dotenv_values

                self._values = dotenv_values(path)
            else:
                self._values = {}
        return self._values.get(name)


def _lookup(name: str, dotenv: _DotEnv) -> Setting[str] | None:
    if value := os.environ.get(name):
        return Setting(value, f"environment {name}")
    if value := dotenv.get(name):
        return Setting(value, f".env {name}")
    return None


def found_outside(name: str) -> Setting[str] | None:
    """Return the value of an environment variable, or of its line in ``./.env``; None if neither is there."""
    return _lookup(name, _DotEnv())


def _api_key(argument: str, dotenv: _DotEnv) -> Setting[str]:
    if not isinstance(argument, (str, type(None))):
        raise TypeError(f"api_key is a string, not {type(argument).__name__}; a Config is passed as cfg=")
    found = Setting(argument, "argument") if argument else _lookup("AGB_API_KEY", dotenv)
    if found is None or not (key := found.value.strip()):
        raise ValueError(
            "API key is required: pass api_key=..., or set AGB_API_KEY in the environment or in ./.env; "
            "to work without an account, use the local runtime (agb serve, or agb.local.serve())"
        )
    if not is_header_value(key):
        raise ValueError(
            f"the API key (from {found.source}) contains characters that an HTTP header cannot carry, "
            "such as a space or a letter outside ASCII; was it copied whole?"
        )
    return Setting(key, found.source)


def is_header_value(text: str) -> bool:
    """Return whether a key or token can be the value of a header: visible ASCII without white space."""
    return text.isascii() and text.isprintable() and " " not in text


def is_header_name(text: str) -> bool:
    """Return whether a text can be the name of a header: a token of HTTP."""
    return isinstance(text, str) and text.isascii() and bool(text) and not set(text) - _TOKEN


def _endpoint(cfg: Config | None, dotenv: _DotEnv) -> Setting[str]:
    if cfg is not None:
        return Setting(cfg.endpoint, "argument")
    return _lookup("AGB_ENDPOINT", dotenv) or Setting(DEFAULT_ENDPOINT, "default")


def _timeout_ms(cfg: Config | None, dotenv: _DotEnv) -> Setting[int]:
    if cfg is not None:
        return Setting(_milliseconds(cfg.timeout_ms, "the Config passed"), "argument")
    found = _lookup("AGB_TIMEOUT_MS", dotenv)
    if found is None:
        return Setting(DEFAULT_TIMEOUT_MS, "default")
    return Setting(_milliseconds(found.value, found.source), found.source)


def _milliseconds(value: object, source: str) -> int:
    number = 0
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):  # text that is no number; infinity
            number = int(value)
    if number <= 0 or (isinstance(value, float) and number != value) or number > LONGEST_TIMEOUT_MS:
        raise ValueError(
            f"the time-out {value!r} ({source}) is not a whole number of milliseconds above zero, such as 60000"
        )
    return number
