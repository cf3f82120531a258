"""Secrets: which values are secret, how they are masked, and how text from outside is shown in errors and logs.

Two functions mask. `masked` takes data apart and knows a secret by the name that it has. `shown` takes text from
outside, which may quote anything: the message of a refusal, the first bytes of a damaged answer, the text of an
exception of the HTTP library. It knows a secret by the names around it, and by its value: the program's own secrets are
remembered each time they are sent and when they are received (`remember`), and are found in any of the forms in which a
service quotes them: as they are, escaped for JSON, URLs or HTML, and as a part of base64.

Every text of an `AGBError`, and every ``error_message`` of a result, has passed through `shown`.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

MASK = "****"
TEXT_LIMIT = 2000
"""Characters of a text from outside that are shown; the rest is counted."""
SHORT_LIMIT = 200
"""The same for what is a word rather than a text: error codes, request ids, reasons of HTTP."""

_WORDS = r"auth|token|ticket|secret|password|passwd|pwd|api[_-]?key|private[_-]?key|signature"
_SECRET = re.compile(_WORDS, re.IGNORECASE)
_IN_URL = re.compile(rf"((?:[\w.-]{{0,64}}(?:{_WORDS}|code|key|sign)[\w.-]{{0,64}})=)[^&#\s]+", re.IGNORECASE)
_SECRET_PARAMETER = re.compile(rf"{_WORDS}|code|key|^sig", re.IGNORECASE)
_USER = re.compile(r"(://)[^/@\s]+@")
_LINK = re.compile(r"(/link/[^/\s]+/\d+/|/cdp/|/devtools/browser/)([^/\s?#]+)")
"""The token in the link to a port of a session, or to its browser."""
_LINK_NAME = re.compile(r"(\b\d{5}-s-[0-9a-z]{1,32}-)([0-9a-z]{6,63})(?=\.localhost)", re.IGNORECASE)
"""The host name of a link (`agb.local.api.links`): a secret also without a URL around it, as in a resolver's error."""


def masked(value: Any) -> Any:
    """Return a copy of ``value`` in which secrets are replaced: by the keys of objects, and inside URLs."""
    if isinstance(value, Mapping):
        return {
            key: MASK if item and isinstance(key, str) and _SECRET.search(key) else masked(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    if isinstance(value, str):
        return _masked_link_names(_masked_url(value) if "://" in value else value)
    return value


def masked_repr(value: Any) -> str:
    """Return a bounded `repr` of ``value`` with its secrets masked, by their names and by their values."""
    from .display import short  # not needed by a call

    return _remembered.mask(short(masked(value)))


def _masked_url(text: str) -> str:
    for pattern, replacement in ((_USER, rf"\1{MASK}@"), (_LINK, rf"\1{MASK}"), (_IN_URL, rf"\1{MASK}")):
        text = pattern.sub(replacement, text)
    return text


def _masked_link_names(text: str) -> str:
    return _LINK_NAME.sub(rf"\1{MASK}", text) if ".localhost" in text.lower() else text


# --- text from outside -------------------------------------------------------------------------------------------

_WINDOW = 16
"""As much of a text as this many times the limit is searched for secrets; the rest is only counted."""
_HEADERS = r"(?:proxy-)?authorization|x-access-token|x-auth[\w-]{0,64}|x-api-key|x-[\w-]{0,64}token|(?:set-)?cookie"
_NAME = r"[\w.-]{0,64}"
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # a header, as in a request, a dict, a list of pairs, or the repr of bytes
        (
            (
                rf"\b({_HEADERS})(\\*[\"']?\s{{0,4}}[:=,]\s{{0,4}}(?:b(?=\\?[\"']))?\\*[\"']?)"
                r"(?:\w{1,20} {1,4})?[^\s\"'\\<>,]+"
            ),
            rf"\1\2{MASK}",
        ),
        # a field of JSON, whole or a part of it, also inside another string
        (
            rf"([\"']{_NAME}(?:{_WORDS}){_NAME}\\*[\"']\s{{0,4}}:\s{{0,4}}\\*[\"'])[^\"'\\]+",
            rf"\1{MASK}",
        ),
        # a parameter
        (
            rf"\b({_NAME}(?:{_WORDS}|access_?key|credential){_NAME}=)[^&\s\"'<>,;#)]+",
            rf"\1{MASK}",
        ),
        # the value of a header alone; an ordinary word after "basic" is none
        (
            r"\b(Bearer|Basic) +(?=\S*[\d+/=._-])[A-Za-z0-9+/=._~-]{6,}",
            rf"\1 {MASK}",
        ),
    )
)
_ANY_URL = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s\"'<>]+", re.IGNORECASE)
_HINTS = (
    *("auth", "token", "ticket", "secret", "passw", "pwd", "key", "signature"),
    *("credential", "cookie", "bearer", "basic"),
)
"""A text without any of these matches none of the patterns. Their quantifiers are bounded, so time is linear."""


class ShownText(str):
    """A text that `shown` has returned, and that it returns as it is: it is neither cut nor counted twice."""

    __slots__ = ()


def shown(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return text from outside as it may be shown: without secrets, and cut after ``limit`` characters.

    What was cut off is counted: ``... and 998,000 more characters``.
    """
    if not text or isinstance(text, ShownText):
        return text
    head = text[: limit * _WINDOW]
    masked_head = without_secrets(head)
    rest = len(text) - len(head)
    if len(masked_head) <= limit and not rest:
        return ShownText(masked_head)
    kept = limit
    if rest:  # a secret may be cut by the end of the window
        kept = min(limit, max(0, len(masked_head) - _remembered.longest))
    return ShownText(f"{masked_head[:kept]}… and {len(masked_head) + rest - kept:,} more characters")


def without_secrets(text: str) -> str:
    """Return a text with all secrets masked that are known by their value or by the names around them."""
    text = _remembered.mask(text)
    if "://" in text:
        text = _ANY_URL.sub(lambda url: _masked_url(url[0]), text)
    text = _masked_link_names(text)
    lower = text.lower()
    if not any(hint in lower for hint in _HINTS):
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


# --- secrets known by their value --------------------------------------------------------------------------------

_PREFIX = 4
_SHORTEST = 6
"""Characters of a secret that is searched for: shorter ones are found in ordinary text as well."""
_SHORTEST_WORD = 12
"""The same for a secret of letters only, such as the password "password"."""
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")
_MOST = 10_000
"""How many secrets a generation has."""


class _Generation:
    """Secrets in the forms in which they are quoted.

    A position in a text is looked up by its first characters, and only if a form begins with these, by each length of
    such forms. So the time that a text takes does not depend on the number of secrets, even if all begin alike.
    """

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self.forms: set[str] = set()
        self.lengths: dict[str, dict[int, None]] = {}
        """The lengths of forms by their first characters."""
        self.longest = 0

    def add(self, secret: str) -> None:
        for form in _forms_of(secret):
            self.forms.add(form)
            self.lengths.setdefault(form[:_PREFIX], {})[len(form)] = None
            self.longest = max(self.longest, len(form))
        self.secrets.add(secret)

    def mask(self, text: str) -> str:
        if not self.forms:
            return text
        parts: list[str] = []
        begin = 0
        for at in range(len(text) - _SHORTEST + 1):
            if text[at : at + _PREFIX] not in self.lengths or at < begin:
                continue
            lengths = list(self.lengths[text[at : at + _PREFIX]])
            length = max((length for length in lengths if text[at : at + length] in self.forms), default=0)
            if length:
                parts += [text[begin:at], MASK]
                begin = at + length
        return text if not parts else "".join([*parts, text[begin:]])


class _Remembered:
    """The secrets that this process uses: those of two generations, after which a secret that is not used is forgotten.

    Secrets are remembered each time they are sent, so the ones of calls under way are in it. There is no lock: adding
    to a set or a dict is one step, and of two threads that begin a generation at a time one is right.
    """

    def __init__(self) -> None:
        self._now, self._before = _Generation(), _Generation()

    @property
    def longest(self) -> int:
        return max(self._now.longest, self._before.longest)

    def add(self, secret: str) -> None:
        now = self._now
        if secret in now.secrets or len(secret) < (_SHORTEST_WORD if secret.isalpha() else _SHORTEST):
            return
        if len(now.secrets) >= _MOST:
            self._before, self._now = now, (now := _Generation())
        now.add(secret)

    def mask(self, text: str) -> str:
        return self._before.mask(self._now.mask(text))


def _forms_of(secret: str) -> list[str]:
    """Return the texts by which a service may quote a secret."""
    forms = {secret}
    if not _UNRESERVED.fullmatch(secret):  # other characters are escaped
        in_json = json.dumps(secret)[1:-1]
        in_url = quote(secret, safe="")
        forms |= {in_json, in_json.replace("/", "\\/"), json.dumps(in_json)[1:-1], repr(secret)[1:-1], escape(secret)}
        forms |= {in_url, quote(secret), quote(in_url, safe="")}
        forms |= {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), form) for form in forms if "%" in form}
    raw = secret.encode()
    for before in range(3):  # how many bytes of the last group of three come before the secret
        encoded = b64encode(bytes(before) + raw).decode()
        # Only the characters that neither the bytes before nor those behind it have a share in.
        certain = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        forms |= {certain, certain.replace("+", "-").replace("/", "_")}
    return [form for form in forms if len(form) >= _SHORTEST]


_remembered = _Remembered()


def remember(*secrets: str) -> None:
    """Let `shown` mask these values from now on. Too short ones, which ordinary text contains too, are ignored."""
    for secret in secrets:
        _remembered.add(secret)


def remember_url(url: str) -> None:
    """Remember what is secret in a URL: its password, its secret parameters, and the token of a session's link."""
    try:
        parts = urlsplit(url)
        password = parts.password or ""
    except ValueError:
        return
    remember(password)
    if link := _LINK.search(parts.path) or _LINK_NAME.search(parts.netloc):
        remember(link[2])
    for name, value in parse_qsl(parts.query):
        if _SECRET_PARAMETER.search(name):
            remember(value)


def remember_answer(data: Any, depth: int = 2) -> None:
    """Remember the secrets in the data of an answer: values with the name of a secret, and those in URLs."""
    if not (isinstance(data, dict) and depth):
        return
    for name, value in data.items():
        if isinstance(value, str):
            if "://" in value:
                remember_url(value)
            elif _SECRET.search(name) and not name.startswith("next"):  # the token of a page is none
                remember(value)
        elif isinstance(value, dict):
            remember_answer(value, depth - 1)
