"""Results as tables of a notebook."""

from __future__ import annotations

import re

import pytest

from agb import AGB, AGBError, Config, results
from agb._wire import tables
from agb._wire.secrets import remember


def text_of(html: str) -> list[str]:
    """Return the texts between the tags."""
    return re.findall(r">([^<]+)<", html)


def test_list_is_a_table_with_a_row_for_each_entry() -> None:
    entries = [results.ContextFileEntry("f-1", "a<b>.txt", "/tmp/a<b>.txt", size=5)]
    html = results.ContextFileListResult("R", True, entries, 1)._repr_html_()
    assert html is not None
    assert html.count("<tr>") == 2 + 3  # of the list, and of request_id, success and count
    assert "a&lt;b&gt;.txt" in html
    assert text_of(html)[0] == "ContextFileListResult"


def test_long_list_is_cut_and_counted() -> None:
    entries = [{"name": f"f-{number}", "isDirectory": False} for number in range(tables.MAX_ROWS + 7)]
    html = results.DirectoryListResult("R", True, entries)._repr_html_()
    assert html is not None
    assert "... 7 more" in html
    assert f"f-{tables.MAX_ROWS}<" not in html


def test_object_in_a_result_is_a_table_of_its_own() -> None:
    html = results.SessionMetricsResult("R", True, results.SessionMetrics(cpu_count=2))._repr_html_()
    assert html is not None
    assert text_of(html)[text_of(html).index("cpu_count") + 1] == "2"


def test_failure_is_red_and_names_its_reason() -> None:
    html = results.OperationResult.failed(AGBError("no such session"))._repr_html_()
    assert html is not None
    assert "color:#a00" in html
    assert "no such session" in html


def test_no_secret_is_shown() -> None:
    remember("token-of-a-session")
    html = results.OperationResult("R", True, "https://x/?t=token-of-a-session")._repr_html_()
    assert html is not None
    assert "token-of-a-session" not in html


@pytest.mark.parametrize("state", ["", "RUNNING"])
def test_session(state: str) -> None:
    with AGB("ako-secret-key", Config("http://127.0.0.1:9")) as client:
        session = client.attach("s-1")
        session._state = state
        assert text_of(session._repr_html_()) == ["Session", "s-1", *(["state", state] if state else [])]
