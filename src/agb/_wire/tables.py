"""Tables: results, lists and sessions as small HTML tables, which a notebook shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from attrs import fields, has

from .display import LONGEST_TEXT, short

MAX_ROWS = 50
"""Rows of a list that are shown; the rest is counted."""
MAX_COLUMNS = 8
_RED = "color:#a00"


def table_of(item: Any) -> str:
    """Return a value as HTML: its list, if it has one, below its other fields."""
    facts: dict[str, str] = {}
    lists: list[str] = []
    for name, value, text in _values(item):
        rows = _rows(value)
        if rows:
            lists.append(f"<div>{escape(name)}: {len(rows)}</div>{_list(rows)}")
        elif has(type(value)):
            lists.append(f"<div>{escape(name)}</div>{facts_table({key: text for key, _, text in _values(value)})}")
        else:
            facts[name] = text
    success = getattr(item, "success", None)
    color = f' style="{_RED}"' if success is False else ""
    return f"<div{color}>{escape(type(item).__name__)}</div>{facts_table(facts)}{''.join(lists)}"


def facts_table(facts: Mapping[str, str]) -> str:
    """Return names and texts as a table of two columns; empty without any."""
    if not facts:
        return ""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts.items())
    return f"<table>{rows}</table>"


def _values(item: Any) -> Iterable[tuple[str, Any, str]]:
    """Return the name, the value and the text of each field that holds something and is shown in a ``repr``."""
    for attribute in fields(type(item)):
        value = getattr(item, attribute.name)
        if attribute.repr is False or value is None or value in ("", [], {}, ()):
            continue
        hides = callable(attribute.repr)
        yield attribute.name, None if hides else value, attribute.repr(value) if hides else _text(value)


def _rows(value: Any) -> Sequence[Mapping[str, str]]:
    """Return a list of objects or dicts as rows; nothing if it is another value."""
    if not isinstance(value, list | tuple) or not value:
        return ()
    if all(has(type(one)) for one in value):
        return [{name: text for name, _, text in _values(one)} for one in value]
    if all(isinstance(one, Mapping) for one in value):
        return [{str(key): _text(entry) for key, entry in one.items()} for one in value]
    return ()


def _list(rows: Sequence[Mapping[str, str]]) -> str:
    columns = list(dict.fromkeys(name for row in rows[:MAX_ROWS] for name in row))[:MAX_COLUMNS]
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    lines = [
        f"<tr>{''.join(f'<td>{escape(row.get(name, str()))}</td>' for name in columns)}</tr>" for row in rows[:MAX_ROWS]
    ]
    if len(rows) > MAX_ROWS:
        lines.append(f'<tr><td colspan="{len(columns)}">... {len(rows) - MAX_ROWS} more</td></tr>')
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _text(value: Any) -> str:
    if isinstance(value, str) and len(value) <= LONGEST_TEXT:
        return value
    return short(value)
