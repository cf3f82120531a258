"""Labels, and finding sessions by them page by page."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from .harness import Sessions

if TYPE_CHECKING:
    from agb import AGB, Session


def test_set_replaces_the_whole_set(session: Session) -> None:
    assert session.set_labels({"project": "demo", "stage": "one"}).success
    assert session.get_labels().data == {"project": "demo", "stage": "one"}

    result = session.set_labels({"stage": "two"})

    assert result.success, result.error_message
    assert result.request_id
    assert session.get_labels().data == {"stage": "two"}


def test_labels_survive_any_text(session: Session) -> None:
    labels = {"größe": "a b&c=d+e%20?#", "名前": "テスト 🙂", "quote": "\"\\'", "line": "a\nb"}

    assert session.set_labels(labels).success

    assert session.get_labels().data == labels


@pytest.mark.parametrize(
    ("labels", "word"),
    [
        (None, "null"),
        (["a"], "array"),
        ("a", "null"),
        ({}, "empty"),
        ({"": "x"}, "keys"),
        ({" ": "x"}, "keys"),
        ({"x": ""}, "values"),
        ({"x": None}, "values"),
    ],
)
def test_bad_labels_are_refused_and_change_nothing(session: Session, labels: Any, word: str) -> None:
    assert session.set_labels({"kept": "yes"}).success

    result = session.set_labels(labels)

    assert not result.success
    assert word in result.error_message
    assert session.get_labels().data == {"kept": "yes"}


@pytest.mark.parametrize("labels", [{"number": 1}, {"nested": {"a": "b"}}])
def test_labels_that_only_the_service_refuses(session: Session, labels: Any) -> None:
    """0.12 lets any value pass; a label is text, so the runtime says no and says why."""
    assert session.set_labels({"kept": "yes"}).success

    result = session.set_labels(labels)

    assert not result.success
    assert next(iter(labels)) in result.error_message or "string" in result.error_message
    assert session.get_labels().data == {"kept": "yes"}


COUNT = 25


@pytest.fixture(scope="module")
def crowd(module_sessions: Sessions) -> tuple[str, set[str]]:
    """25 sessions with a common label; every fifth is also labelled as special."""
    run = uuid4().hex
    wanted = [{"run": run, "special": "yes" if number % 5 == 0 else "no"} for number in range(COUNT)]
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(module_sessions.create, wanted))
    return run, {session.session_id for session in made}


def test_pages_show_every_session_once(agb: AGB, crowd: tuple[str, set[str]]) -> None:
    run, ids = crowd

    pages = [agb.list({"run": run}, page=number, limit=10) for number in (1, 2, 3)]

    assert all(page.success for page in pages), [page.error_message for page in pages]
    assert [len(page.session_ids) for page in pages] == [10, 10, 5]
    assert [page.total_count for page in pages] == [COUNT] * 3
    assert [page.max_results for page in pages] == [10] * 3
    assert [bool(page.next_token) for page in pages] == [True, True, False]
    assert {session_id for page in pages for session_id in page.session_ids} == ids


def test_paging_is_stable(agb: AGB, crowd: tuple[str, set[str]]) -> None:
    run, _ = crowd

    first, again = (agb.list({"run": run}, page=2, limit=7).session_ids for _ in range(2))

    assert first == again
    assert len(first) == 7


def test_default_page_has_ten(agb: AGB, crowd: tuple[str, set[str]]) -> None:
    result = agb.list({"run": crowd[0]})

    assert len(result.session_ids) == 10
    assert result.max_results == 10


def test_all_labels_must_match(agb: AGB, crowd: tuple[str, set[str]]) -> None:
    run, ids = crowd

    special = agb.list({"run": run, "special": "yes"}, limit=10)

    assert special.total_count == 5
    assert len(special.session_ids) == 5
    assert set(special.session_ids) < ids
    assert agb.list({"run": run, "special": "perhaps"}).session_ids == []


def test_page_beyond_the_last(agb: AGB, crowd: tuple[str, set[str]]) -> None:
    result = agb.list({"run": crowd[0]}, page=4, limit=10)

    assert not result.success
    assert "Cannot reach page 4" in result.error_message


def test_list_without_filter_counts_everyone(agb: AGB, crowd: tuple[str, set[str]]) -> None:
    result = agb.list(limit=100)

    assert result.success
    assert crowd[1] <= set(result.session_ids)
    assert result.total_count >= COUNT


def test_released_sessions_leave_the_list(agb: AGB, sessions: Sessions) -> None:
    run = uuid4().hex
    first, second = sessions.create({"run": run}), sessions.create({"run": run})
    assert first.delete().success

    result = agb.list({"run": run})

    assert result.session_ids == [second.session_id]
    assert result.total_count == 1


def test_changed_labels_are_found(agb: AGB, sessions: Sessions) -> None:
    run = uuid4().hex
    session = sessions.create({"run": run})
    assert session.set_labels({"moved to": run}).success

    assert agb.list({"run": run}).session_ids == []
    assert agb.list({"moved to": run}).session_ids == [session.session_id]
