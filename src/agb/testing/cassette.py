"""Cassettes: the exchanges of a test, recorded as YAML and replayed without a service.

A request is recorded in the form by which it is compared later: without headers, with the address of the service
replaced, JSON taken apart, secrets masked, and without what differs in each run. What the SDK draws at random (the id
of a call, the name of a temporary file) may stand in an answer as well. So the values of the recording are mapped to
those of this run when a request is matched, and replaced in the answers that follow.

A live stream is not recorded: its messages follow the clock of the program that writes them.
"""

from __future__ import annotations

import difflib
import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from attrs import define, field, frozen

from .._wire.labels import HIDDEN
from .._wire.toolcall import parse_tool_list
from .masking import Mask
from .observed import ReceivedAnswer, SentRequest

if TYPE_CHECKING:
    import pytest

HOST = "service.invalid"
"""In cassettes, in place of host and port of the service, which are others in each run."""
ENDPOINT = f"http://{HOST}"
_FORMAT = 1
_COMPARED = 4000
"""Characters of requests that are compared to find the one that is most like another."""
_KEPT_HEADERS = ("content-type", "retry-after", "etag", "location", "x-agb-mode", "x-agb-mtime")
_LEFT_OUT = ("sdkStats", "requestId", "mtime")
"""Fields of requests that say nothing about what is requested; the last is the time of a file that is sent."""
_RANDOM = re.compile(
    r"(?<![0-9a-zA-Z])(?:ext_[0-9a-f]{32}|[0-9a-f]{24}|[0-9a-f]{16}|@[0-9]{1,11}\.[0-9]{6})(?![0-9a-zA-Z])"
)
"""Names that the SDK draws at random, none of which is as long as a digest, and times of files in its scripts."""


class UnknownRequest(AssertionError):
    """A request has no recorded answer; the text shows the difference to the recorded request that is most like it."""


@define
class Exchange:
    """A recorded request and its answer, as they are in the file."""

    request: dict[str, Any]
    answer: dict[str, Any]
    is_used: bool = field(default=False, eq=False)
    text: str = field(init=False, eq=False, repr=False)
    """The request, as it is compared."""

    def __attrs_post_init__(self) -> None:
        self.text = _text(self.request)


@frozen
class _Raw:
    """An exchange that was just made."""

    request: SentRequest
    answer: ReceivedAnswer


class Cassette:
    """Records the exchanges of clients, or replays them; safe in several threads.

    Args:
        path: the file.
        mode: when to record: ``none`` (never), ``once`` (if there is no file), ``new`` (what the file does not have) or
            ``all`` (anew).

    Attributes:
        path: the file.
        records: whether requests without a recorded answer are sent and recorded.

    Raises:
        ImportError: PyYAML is missing.
    """

    def __init__(self, path: Path, mode: str = "none") -> None:
        self.path = path
        self._yaml = _yaml()
        exists = path.exists()
        self.records = mode in ("new", "all") or (mode == "once" and not exists)
        self._mode = mode
        self._recorded = self._read() if exists and mode != "all" else []
        self._made: list[_Raw] = []
        self._unknown: list[str] = []
        self._names: dict[str, str] = {}
        """Random names of the recording, and those of this run in their place."""
        self._netloc = HOST
        self._lock = threading.Lock()

    # --- an observer of clients ----------------------------------------------------------------------------------

    def wants(self, path: str) -> bool:
        """Return True: all exchanges are recorded."""
        del path
        return True

    def before(self, request: SentRequest) -> ReceivedAnswer | None:
        """Return the recorded answer to a request; None if it is to be sent and recorded.

        Raises:
            UnknownRequest: there is none, and nothing is recorded.
        """
        if request.is_upgrade:
            raise self._unknown_request(
                "live output uses a WebSocket, which a cassette does not record: run the code without it, or use the "
                "fixtures without agb_cassette"
            )
        if self.records and self._netloc == HOST:
            self._netloc = request.netloc  # a test's first request goes to the service
        with self._lock:
            shape = described(request, self._netloc, Mask())
            text = _text(shape)
            for exchange in self._recorded:
                if not exchange.is_used and self._matches(exchange.text, text):
                    exchange.is_used = True
                    return self._replayed(exchange.answer)
        if not self.records:
            raise self._unknown_request(self._explained(shape))
        return None

    def after(self, request: SentRequest, answer: ReceivedAnswer) -> None:
        """Record an exchange."""
        with self._lock:
            self._made.append(_Raw(request, answer))

    def _unknown_request(self, text: str) -> UnknownRequest:
        self._unknown.append(text)
        return UnknownRequest(text)

    def check_known(self) -> None:
        """Fail the test for a request without a recorded answer, whose error the program has handled."""
        import pytest

        if self._unknown:
            pytest.fail(f"agb_cassette: {self._unknown[0]}", pytrace=False)

    # --- matching ------------------------------------------------------------------------------------------------

    def _matches(self, old: str, new: str) -> bool:
        """Return whether a request is the recorded one, with other random names at most."""
        if old == new:
            return True
        if _RANDOM.sub("", old) != _RANDOM.sub("", new):
            return False
        pairs = dict(zip(_RANDOM.findall(old), _RANDOM.findall(new), strict=True))
        if any(self._names.get(name, other) != other for name, other in pairs.items()):
            return False
        self._names |= pairs
        return True

    def _replayed(self, answer: Mapping[str, Any]) -> ReceivedAnswer:
        body = answer.get("body", b"")
        text = _RANDOM.sub(lambda name: self._names.get(name[0], name[0]), _text(body).replace(HOST, self._netloc))
        if isinstance(body, bytes):
            content = body
        else:
            content = json.loads(text).encode() if isinstance(body, str) else text.encode()
        headers = answer.get("headers") or {}
        return ReceivedAnswer(int(answer["status"]), list(headers.items()), content)

    def _explained(self, shape: dict[str, Any]) -> str:
        """Return why a request is unknown: the difference to the recorded one that is most like it."""
        what = f"{shape['method']} {shape['url']}"
        if not self._recorded:
            return f"{what} is not recorded: there is no cassette {self.path}; --agb-record=once records one"
        text = _text(shape)
        same = [exchange for exchange in self._recorded if self._matches(exchange.text, text)]
        if same:
            return f"{what} is recorded {_times(len(same))} in {self.path}, and was requested once more"

        def likeness(one: Exchange) -> tuple[bool, float]:
            matcher = difflib.SequenceMatcher(None, one.text[:_COMPARED], text[:_COMPARED], autojunk=False)
            return one.request["url"] == shape["url"], matcher.quick_ratio()

        nearest = max(self._recorded, key=likeness)
        difference = difflib.unified_diff(
            self._dumped(nearest.request).splitlines(),
            self._dumped(shape).splitlines(),
            "recorded",
            "requested",
            lineterm="",
            n=9,
        )
        return (
            f"{what} is not recorded in {self.path} (--agb-record=new adds it, all records all anew); the recorded "
            "request that is most like it differs:\n" + "\n".join(difference)
        )

    # --- the file ------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write what was recorded; nothing if there is nothing new."""
        if not self._made:
            return
        mask = Mask()
        for raw in self._made:
            mask.learn(raw.request.path, raw.answer.body)
        exchanges = [exchange for exchange in self._recorded if exchange.is_used or self._mode == "new"]
        exchanges += [
            Exchange(described(raw.request, self._netloc, mask), self._described_answer(raw.answer, mask))
            for raw in self._made
        ]
        written = [{"request": exchange.request, "answer": exchange.answer} for exchange in exchanges]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self._dumped({"format": _FORMAT, "exchanges": written}), "utf-8")

    def _described_answer(self, answer: ReceivedAnswer, mask: Mask) -> dict[str, Any]:
        headers = {name: value for name, value in answer.headers if name in _KEPT_HEADERS}
        body = _content(answer.body)
        if not isinstance(body, bytes):
            body = _without(_with_short_tool_list(mask.hide(body)), self._netloc)
        found = {"status": answer.status, "headers": headers, "body": body}
        return {name: value for name, value in found.items() if value not in ({}, b"", "")}

    def _read(self) -> list[Exchange]:
        try:
            loaded = self._yaml.load(self.path.read_text("utf-8"), Loader=self._yaml.CSafeLoader)
            if loaded["format"] != _FORMAT:
                raise ValueError(f"it has the format {loaded['format']!r}, and this version reads {_FORMAT}")
            return [Exchange(one["request"], one["answer"]) for one in loaded["exchanges"]]
        except (self._yaml.YAMLError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"{self.path} is not a cassette: {error}") from error

    def _dumped(self, value: Any) -> str:
        text: str = self._yaml.dump(
            value, Dumper=self._yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=110
        )
        return text


def path_for(item: pytest.Item) -> Path:
    """Return the file of a test: ``cassettes/<module>/<test>.yaml``, in the directory of the module."""
    names = [part.name for part in item.listchain()[::-1] if part.name and part.path == item.path]
    inner = ".".join(reversed(names[:-1] if len(names) > 1 else names))
    return (
        item.path.parent / "cassettes" / item.path.stem / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', inner).strip('-')}.yaml"
    )


def described(request: SentRequest, netloc: str, mask: Mask) -> dict[str, Any]:
    """Return a request as it is recorded and compared."""
    parts = urlsplit(f"//{request.netloc}{mask.hide_url(request.target)}")
    query = {name: mask.hide(_parsed(value)) for name, value in parse_qsl(parts.query, keep_blank_values=True)}
    body = _content(request.body)
    found = {
        "method": request.method,
        "url": f"{parts.netloc}{parts.path}",
        "query": {name: value for name, value in query.items() if name not in _LEFT_OUT},
        "body": body if isinstance(body, bytes) else mask.hide(_parsed_fields(body)),
    }
    kept = {name: value for name, value in found.items() if value not in ({}, b"", "")}
    without: dict[str, Any] = _without(kept, netloc)
    return without


def _parsed_fields(body: Any) -> Any:
    """Return the body of a call with the JSON in its fields taken apart, without what says nothing."""
    if not isinstance(body, dict):
        return body
    return {name: _parsed(value) for name, value in body.items() if name not in _LEFT_OUT}


def _parsed(value: Any) -> Any:
    """Return the object or array in a text of JSON, without the values of hidden labels; any other value as it is."""
    if not (isinstance(value, str) and value.startswith(("{", "["))):
        return value
    try:
        found = json.loads(value)
    except ValueError:
        return value
    if isinstance(found, dict):
        return {name: "(hidden)" if name.startswith(HIDDEN) else item for name, item in found.items()}
    return found


def _with_short_tool_list(body: Any) -> Any:
    """Return an answer whose list of tools has what a client reads of it, which is a hundredth of the text."""
    data = body.get("data") if isinstance(body, dict) else None
    if not (isinstance(data, dict) and data.get("toolList")):
        return body
    short = [
        {**tool, "inputSchema": {"properties": {name: {} for name in tool["inputSchema"].get("properties", ())}}}
        if "inputSchema" in tool
        else tool
        for tool in parse_tool_list(data["toolList"])
    ]
    return {**body, "data": {**data, "toolList": short}}


def _content(body: bytes) -> Any:
    """Return a body as YAML has it: the value of JSON, text, or bytes."""
    try:
        text = body.decode()
        return json.loads(text) if text.startswith(("{", "[")) else text
    except (UnicodeDecodeError, ValueError):
        return body


def _without(value: Any, netloc: str) -> Any:
    """Return a value with the address of the service replaced."""
    return value if netloc == HOST else _replaced(value, netloc, HOST)


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, dict):
        return {key: _replaced(item, old, new) for key, item in value.items()}
    return [_replaced(item, old, new) for item in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise ImportError("agb_cassette needs PyYAML: pip install 'agb[testing]'") from error
    return yaml
