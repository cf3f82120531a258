"""Journals: whatever a crash leaves of one is read up to the last whole line, and values come back as they were."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agb import CreateSessionParams
from agb._ops import journal
from agb._ops.journal import Contents, Ending, Header

HEADER = Header("nightly", "0" * 32, False, "ab12")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=10,
)


def lines_of(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types all through."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            same(left, right) and same(one[left], other[right]) for left, right in zip(one, other, strict=True)
        )
    return bool(one == other) and (
        one != 0 or not isinstance(one, float) or math.copysign(1, one) == math.copysign(1, other)
    )


@settings(deadline=None)
@given(VALUES)
def test_values_come_back_as_they_were(value: Any) -> None:
    line = journal.done("k", 3, Ending(value, None, 2, 1.5, "s-1"))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    ending = journal.read_ending(line)
    assert same(ending.value, value)
    assert (ending.error, ending.attempts, ending.seconds, ending.session_id) == (None, 2, 1.5, "s-1")


def test_value_nested_deeper_than_readers_like() -> None:
    value: Any = "x"
    for _ in range(300):
        value = [value]
    assert same(journal.read_ending(journal.done("k", 0, Ending(value, None, 1, 0.0, ""))).value, value)


STEPS = st.lists(st.tuples(st.sampled_from(["begun", "done", "failed", "sessionless"]), st.integers(0, 5)), max_size=12)


def written(steps: list[tuple[str, int]]) -> bytes:
    """Return a journal in which items begin and end like this."""
    data = HEADER.line()
    for what, number in steps:
        error = LookupError("no") if what in ("failed", "sessionless") else None
        session_id = "" if what == "sessionless" else "s-1"
        ending = Ending({"n": number}, error, 1, 0.5, session_id)
        key = f"key {number}"
        data += journal.begun(key, number) if what == "begun" else journal.done(key, number, ending)
    return data


def expected(steps: list[tuple[str, int]]) -> tuple[set[str], set[str]]:
    """Return which keys are done, and which begun and not ended; without a session an item was never begun."""
    done, begun = set[str](), set[str]()
    for what, number in steps:
        for keys in (done, begun):
            if what != "sessionless" or keys is begun:
                keys.discard(f"key {number}")
        if what != "sessionless":
            (begun if what == "begun" else done).add(f"key {number}")
    return done, begun


@settings(deadline=None)
@given(STEPS, st.data())
def test_journal_that_is_torn_anywhere(steps: list[tuple[str, int]], data: st.DataObject) -> None:
    """Every whole line counts, the rest of one does not."""
    whole = written(steps)
    torn = whole[: data.draw(st.integers(0, len(whole)))]
    contents = journal.read(lines_of(torn))
    complete = torn.rpartition(b"\n")[0].count(b"\n") + 1 if b"\n" in torn else 0
    assert contents.size == len(b"".join(lines_of(torn)[:complete]))
    assert contents.header == (HEADER if complete else None)
    done, begun = expected(steps[: max(complete - 1, 0)])
    assert set(contents.done) == done
    assert set(contents.begun) == begun
    for key, (start, length) in contents.done.items():
        assert json.loads(torn[start : start + length])["done"] == key


@settings(deadline=None)
@given(STEPS, st.binary(min_size=1, max_size=30))
def test_last_line_may_be_anything(steps: list[tuple[str, int]], rubbish: bytes) -> None:
    whole = written(steps)
    rubbish = b"#" + rubbish.replace(b"\n", b"")
    for end in (b"", b"\n"):
        contents = journal.read(
            lines_of(whole + rubbish + end) if b"\r" not in rubbish else [*lines_of(whole), rubbish]
        )
        assert contents.size == len(whole)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        contents = journal.read(lines_of(data))
    except ValueError:
        return
    assert isinstance(contents, Contents)
    assert contents.size <= len(data)


NAMES = ["done", "begun", "index", "attempts", "seconds", "session", "value", "error", "pickle"]
PARTS: list[Any] = [
    None,
    1,
    1.5,
    "x",
    "AAAA",
    [],
    {},
    {"type": "T", "message": "m"},
    {"type": "T", "message": "m", "pickle": "x"},
]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(PARTS)))
def test_any_line_is_read_or_refused(fields: dict[str, Any]) -> None:
    """In the middle of a journal, where no crash has torn it."""
    lines = [HEADER.line(), json.dumps(fields).encode() + b"\n", journal.begun("k", 1)]
    contents, refused = None, ""
    try:
        contents = journal.read(lines)
    except ValueError as error:
        refused = str(error)
    assert (contents is None) == refused.startswith("line 2 is damaged: ")
    for start, length in contents.done.values() if contents else ():
        try:
            journal.read_ending(b"".join(lines)[start : start + length])
        except ValueError as error:
            refused = str(error)
    assert refused == "" or "is damaged" in refused or "cannot be read" in refused


BAD: list[tuple[list[bytes], str]] = [
    ([b"milk, eggs\n"], "no journal"),
    ([b"[1]\n"], "no journal"),
    ([b'{"a": 1}\n'], "no journal"),
    ([b"\x80\n"], "no journal"),
    ([b'{"agb.journal": 99, "name": "", "params": "", "keyed": false, "id": "x"}\n'], "version 99"),
    ([HEADER.line(), b"{}\n", HEADER.line()], "line 2 is damaged"),
    ([HEADER.line(), HEADER.line(), b"{}\n"], "line 2 is damaged"),
]


@pytest.mark.parametrize(("lines", "text"), BAD, ids=[text for _, text in BAD])
def test_what_is_no_journal_is_refused(lines: list[bytes], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        journal.read(lines)


def test_header_that_was_torn_is_none() -> None:
    line = HEADER.line()
    for size in range(len(line)):
        contents = journal.read(lines_of(line[:size]))
        assert (contents.header, contents.size) == (None, 0)
    assert journal.read([b"\0" * 40]).header is None


@pytest.mark.parametrize(
    ("differing", "text"),
    [
        (Header("weekly", "0" * 32, False, "x"), "named 'weekly', and this one is named 'nightly'"),
        (Header("nightly", "1" * 32, False, "x"), "other params"),
        (Header("nightly", "0" * 32, True, "x"), "named by key"),
    ],
)
def test_journal_of_another_batch_is_not_resumed(differing: Header, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        HEADER.check_resumes(differing)


def test_journal_of_an_earlier_run_is_resumed() -> None:
    HEADER.check_resumes(Header("nightly", "0" * 32, False, "other id"))


def test_params_that_make_the_same_sessions_have_one_digest() -> None:
    def digest(**params: Any) -> str:
        return journal.digest_of_params(CreateSessionParams(**params))

    one = digest(image_id="a", labels={"b": "c"})
    assert one == digest(image_id="a", labels={"b": "c"})
    assert len({one, digest(image_id="a"), digest(image_id="b"), digest(image_id="a", labels={"b": "d"})}) == 4


KEYS: list[tuple[Any, Any, bool]] = [
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
    ([1, 2], (1, 2), False),
    (1, True, False),
    (1, 1.0, False),
    ("1", 1, False),
    (b"x", b"x", True),
    (b"x", b"y", False),
]


@pytest.mark.parametrize(("one", "other", "are_same"), KEYS, ids=str)
def test_keys_of_items(one: Any, other: Any, are_same: bool) -> None:
    assert (journal.key_of(3, one) == journal.key_of(3, other)) == are_same
    assert journal.key_of(3, one) != journal.key_of(4, one)


def test_error_without_its_class_keeps_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    line = journal.done("k", 0, Ending(None, GoneError("was here"), 1, 0.0, "s-1"))
    monkeypatch.delitem(globals(), "GoneError")
    assert str(journal.read_ending(line).error) == "GoneError: was here"


def test_value_without_its_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    line = journal.done("k", 0, Ending(GoneError("was here"), None, 1, 0.0, "s-1"))
    monkeypatch.delitem(globals(), "GoneError")
    with pytest.raises(ValueError, match="'k' cannot be read"):
        journal.read_ending(line)


class GoneError(Exception):
    """Is taken away."""


def test_value_that_cannot_be_written() -> None:
    def local() -> None: ...

    for value in (local, [local], {"a": local}):
        with pytest.raises(TypeError):
            journal.done("k", 0, Ending(value, None, 1, 0.0, ""))
