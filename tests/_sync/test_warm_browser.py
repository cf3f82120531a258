# Generated from tests/_async/test_warm_browser.py by tools/unasync.py. Do not edit.
"""Pools and batches whose sessions have a browser that runs."""

from __future__ import annotations

from itertools import chain, repeat
from typing import Any

import pytest

from agb import AGB, BrowserError, BrowserOption, Config, CreateSessionParams, Session
from agb.local import LocalServer
from tests.browsers import BROWSING, needs_browser
from tests.servers import Sessions, refuse, scripted, value

OPTION = BrowserOption(user_agent="Warm/1")
PARAMS = CreateSessionParams(image_id="agb-browser-use-1")


def client(runtime: LocalServer) -> AGB:
    return AGB(runtime.api_key, Config(runtime.endpoint, 120_000))


@needs_browser
@pytest.mark.one_flavour
def test_pool_lends_sessions_with_a_browser(runtime: LocalServer) -> None:
    with client(runtime) as agb, agb.pool(BROWSING, max=1, warm_browser=OPTION, timeout=120) as pool:
        with pool.session() as session:
            assert session.browser.get_option() == OPTION
            with session.browser.page() as page:
                assert page.evaluate("navigator.userAgent") == "Warm/1"
            first = session.session_id
            session.browser.destroy()
        with pool.session() as session:
            assert session.session_id == first
            assert session.browser.is_initialized()  # it was started again
            assert session.browser.get_endpoint_url()


@needs_browser
@pytest.mark.long
def test_batch_whose_function_finds_a_browser(runtime: LocalServer) -> None:
    def title(session: Session, text: str) -> str:
        assert session.browser.is_initialized()
        with session.browser.page() as page:
            page.set_content(f"<title>{text}</title>")
            return page.title()

    with client(runtime) as agb:
        batch = agb.map(title, ["a", "b"], params=BROWSING, concurrency=1, pool=True, ordered=True, warm_browser=True)
        with batch as outcomes:
            found = outcomes.results()
    assert [outcome.value for outcome in found] == ["a", "b"]
    assert len({outcome.session_id for outcome in found}) == 1


def nothing(session: Session, item: int) -> int:
    del session
    return item


@pytest.mark.parametrize("pool", [False, True])
def test_browser_that_does_not_start_is_the_error_of_the_item(pool: bool) -> None:
    sessions = Sessions(instead={"/browser/init": refuse("NotOffered", "no browser here", 501)})
    with scripted(sessions) as server:
        agb = AGB("ako-key", Config(server.endpoint, 30_000))
        with agb, agb.map(nothing, [1, 2], params=PARAMS, pool=pool, warm_browser=True) as outcomes:
            found = outcomes.results()
    assert [str(outcome.error).rpartition(": ")[2].partition(" [")[0] for outcome in found] == ["no browser here"] * 2
    assert all(isinstance(outcome.error, BrowserError) for outcome in found)
    assert sessions.alive == set()


def test_pool_replaces_a_session_whose_browser_does_not_start() -> None:
    answers = chain([value({"port": 1}), refuse("X", "it has crashed")], repeat(value({"port": 2})))
    sessions = Sessions(faults={"/browser/init": lambda: next(answers)})
    with scripted(sessions) as server:
        agb = AGB("ako-key", Config(server.endpoint, 30_000))
        with agb, agb.pool(PARAMS, max=1, warm_browser=True) as pool:
            ports: list[Any] = []
            for _ in range(2):
                with pool.session() as session:
                    ports.append((session.session_id, session.browser.endpoint_router_port))
            assert ports == [("s-1", 1), ("s-2", 2)]
            assert "it has crashed" in str(pool.stats().last_error)
    assert sessions.alive == set()


def test_wrong_arguments() -> None:
    with AGB("ako-key", Config("http://127.0.0.1:9")) as agb:
        wrong: Any = "chrome"
        with pytest.raises(TypeError, match="warm_browser is True, False or a BrowserOption, not str"):
            agb.pool(PARAMS, warm_browser=wrong)
        with pytest.raises(TypeError, match="warm_browser is True, False or a BrowserOption, not str"):
            agb.map(nothing, [1], params=PARAMS, warm_browser=wrong)
        with pytest.raises(ValueError, match=r"client\.pool\(\.\.\., warm_browser=\.\.\.\)"):
            agb.map(nothing, [1], pool=agb.pool(PARAMS), warm_browser=True)
