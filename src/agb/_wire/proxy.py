"""Proxies: their addresses, and the route by which an endpoint is reached."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Hashable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote, urlsplit

from attrs import Factory, field, frozen

from ..config import Endpoint
from .secrets import masked, remember

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_SOCKS_LENGTH = 255


@frozen
class Proxy:
    """The address of a proxy; its user and password appear in no text."""

    scheme: str
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_socks(self) -> bool:
        """Whether its protocol is SOCKS5, and not HTTP."""
        return self.scheme.startswith("socks")

    @property
    def authorization(self) -> list[tuple[bytes, bytes]]:
        """The header that authenticates the user to an HTTP proxy; empty without a user."""
        if not (self.user or self.password):
            return []
        return [(b"Proxy-Authorization", b"Basic " + b64encode(f"{self.user}:{self.password}".encode()))]

    def remember_secrets(self) -> None:
        """Let the texts of errors mask the password; called before it is sent."""
        remember(self.password, f"{self.user}:{self.password}")

    def check(self) -> None:
        """Raise `ImportError` if a package that this proxy needs is not installed."""
        if self.is_socks and find_spec("socksio") is None:
            raise ImportError(f"for the proxy {self} install agb[socks] (pip install 'agb[socks]')", name="socksio")

    @classmethod
    def parse(cls, url: str, name: str = "proxy") -> Proxy:
        """Return the parts of a URL; a bare host and port is an HTTP proxy.

        Raises:
            ValueError: it is not the address of a proxy; the text contains no password.
        """
        text = url.strip()
        text = text if "://" in text else f"http://{text}"
        shown = masked(text)
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ValueError(f"the {name} {shown!r} is not the address of a proxy") from None
        if parts.scheme not in _PORTS:
            known = ", ".join(f"{scheme}://" for scheme in _PORTS)
            raise ValueError(f"the {name} {shown!r} begins with {parts.scheme}://; expected one of {known}")
        if port == 0 or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError(f"the {name} {shown!r} is not the address of a proxy, such as http://proxy.example:3128")
        try:
            host = Endpoint.parse(f"http://{_bracketed(parts.hostname or '')}").host
        except ValueError:
            raise ValueError(f"the {name} {shown!r} has no valid host name") from None
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if parts.scheme.startswith("socks") and max(len(user.encode()), len(password.encode())) > _SOCKS_LENGTH:
            raise ValueError(f"the {name} {shown!r} has a user name or password longer than SOCKS5 can carry")
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], user, password)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@frozen(eq=False)
class Route:
    """How an endpoint is reached, and which connections can be used for it."""

    scheme: str
    host: str
    port: int
    proxy: Proxy | None = None
    is_forwarded: bool = False
    """Whether the proxy gets requests with the whole URL, instead of opening a tunnel."""
    key: Hashable = field(init=False, repr=False, default=Factory(lambda self: self._key(), takes_self=True))
    """The key of connections in the pool: a connection to a forwarding proxy serves requests for any host."""

    def _key(self) -> Hashable:
        return self.proxy if self.is_forwarded else (self.scheme, self.host, self.port, self.proxy)

    @property
    def address(self) -> str:
        """Host and port as they are sent to a proxy."""
        return f"{_bracketed(self.host)}:{self.port}"


def settings_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy of each scheme, of ``all``, and the hosts without one as ``no``, from ``..._proxy`` variables.

    A variable in lower case takes precedence over the same one in upper case; a blank one counts as not set. Where a
    program answers a web request (CGI), ``HTTP_PROXY`` may be a header of that request, and is not used.
    """
    found: dict[str, str] = {}
    for name, text in sorted(environment.items()):  # upper case comes first
        lower = name.lower()
        if lower.endswith("_proxy") and text.strip() and not (name == "HTTP_PROXY" and "REQUEST_METHOD" in environment):
            found[lower.removesuffix("_proxy")] = text.strip()
    return found


def named_by(settings: Mapping[str, str], scheme: str) -> str:
    """Return the proxy for a scheme, ``""`` if there is none."""
    return settings.get(scheme) or settings.get("all") or ""


def needs_none(host: str, port: int, patterns: str) -> bool:
    """Return whether a host is one of those that ``NO_PROXY`` names, separated by commas or white space.

    They are names, which stand for their subdomains too, with or without a leading dot or ``*.``; addresses; networks
    such as ``10.0.0.0/8`` and ``fd00::/8``; each but a network may have a port; ``*`` stands for all hosts.
    """
    name = host.strip("[]").rstrip(".").lower()
    try:
        address = ip_address(name)
    except ValueError:
        address = None
    return any(
        _names_host(pattern, name, port) if address is None else _names_address(pattern, address, port)
        for pattern in patterns.lower().replace(",", " ").split()
    )


def _names_address(pattern: str, address: IPv4Address | IPv6Address, port: int) -> bool:
    if pattern == "*":
        return True
    for text, wanted in ((pattern, None), _split_port(pattern)):
        with suppress(ValueError):  # it is a name, or has a port, or none
            network = ip_network(text.strip("[]"), strict=False)
            if address in network and wanted in (None, port):
                return True
    return False


def _names_host(pattern: str, name: str, port: int) -> bool:
    if pattern == "*":
        return True
    text, wanted = _split_port(pattern)
    domain = text.removeprefix("*").strip(".")
    return bool(domain) and wanted in (None, port) and (name == domain or name.endswith(f".{domain}"))


def _split_port(pattern: str) -> tuple[str, int | None]:
    text, colon, port = pattern.rpartition(":")
    return (text, int(port)) if colon and port.isdecimal() else (pattern, None)
