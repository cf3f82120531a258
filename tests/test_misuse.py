"""What an object says that is used as one of the other flavour, or before its block is entered; without any I/O."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any

import pytest

import agb
from agb import AGB, AsyncAGB, Config, CreateSessionParams, SessionRef

NOWHERE = Config("http://127.0.0.1:9")
PARAMS = CreateSessionParams(image_id="agb-code-space-1")


async def nothing(*_: object) -> None:
    """Do nothing with a session and an item."""


def blocks(flavour: type[Any]) -> list[Any]:
    """Return one of everything that is entered."""
    client = flavour("k", NOWHERE)
    session = client.attach(SessionRef("s-1", NOWHERE.endpoint))
    function = nothing if flavour is AsyncAGB else print
    return [
        *(client, client.session(PARAMS), client.pool(PARAMS), client.map(function, [1], params=PARAMS)),
        *(session.code.stream("1", "python"), session.file.read_stream("/a"), session.file.watch("/a")),
        *([session.browser.connect(), session.browser.page()] if find_spec("playwright") else []),
    ]


def iterators(flavour: type[Any]) -> list[Any]:
    """Return one of everything that is iterated over."""
    client = flavour("k", NOWHERE)
    return [client.iterate(), client.context.iterate(), client.context.iterate_files("c"), *blocks(flavour)[3:7]]


def kind(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize("block", blocks(AsyncAGB), ids=kind)
def test_with_for_an_asynchronous_block(block: Any) -> None:
    with pytest.raises(TypeError, match=f"{kind(block)} is asynchronous: write 'async with'"), block:
        pass


@pytest.mark.parametrize("iterator", iterators(AsyncAGB), ids=kind)
def test_for_over_an_asynchronous_iterator(iterator: Any) -> None:
    with pytest.raises(TypeError, match=f"{kind(iterator)} is asynchronous: write 'async for'"):
        list(iterator)


async def enter(block: Any) -> None:
    async with block:
        pass


async def iterate(iterator: Any) -> None:
    async for _ in iterator:
        pass


async def wait_for(block: Any) -> None:
    await block


def refusal(use: Callable[[Any], Awaitable[None]], value: Any) -> str:
    """Return what a use of a value is refused with."""

    async def main() -> None:
        await use(value)

    with pytest.raises(TypeError) as caught:
        asyncio.run(main())
    return str(caught.value)


@pytest.mark.parametrize("block", blocks(AGB), ids=kind)
def test_async_with_for_a_synchronous_block(block: Any) -> None:
    assert refusal(enter, block).startswith(f"{kind(block)} is synchronous: write 'with'")


@pytest.mark.parametrize("iterator", iterators(AGB), ids=kind)
def test_async_for_over_a_synchronous_iterator(iterator: Any) -> None:
    assert refusal(iterate, iterator).startswith(f"{kind(iterator)} is synchronous: write 'for'")


@pytest.mark.parametrize("block", blocks(AsyncAGB)[:4], ids=kind)
def test_block_is_not_awaited(block: Any) -> None:
    assert "write 'async with'" in refusal(wait_for, block)


@pytest.mark.parametrize(("flavour", "word"), [(AGB, "with"), (AsyncAGB, "async with")])
def test_session_without_a_block(flavour: type[Any], word: str) -> None:
    block = flavour("k", NOWHERE).session(PARAMS)
    assert repr(block) == f"<client.session(params), to be used as: {word} client.session(params) as session>"
    with pytest.raises(
        AttributeError, match=rf"no 'code'; the session is in the block: {word} client\.session\(params\)"
    ):
        _ = block.code
    assert repr(copy.copy(block)) == repr(block)


@pytest.mark.parametrize("value", [*blocks(AsyncAGB), *blocks(AGB), *iterators(AsyncAGB), *iterators(AGB)], ids=kind)
def test_texts_have_no_address_in_memory(value: Any) -> None:
    assert " object at 0x" not in repr(value)


@pytest.mark.parametrize("flavour", [AGB, AsyncAGB])
def test_parts_of_a_session_have_texts(flavour: type[Any]) -> None:
    client = flavour("k", NOWHERE)
    session = client.attach(SessionRef("s-1", NOWHERE.endpoint))
    for part in (session.code, session.command, session.file, session.context):
        assert repr(part) == f"<{kind(part)} of session s-1>"
    assert repr(client.context).endswith("of http://127.0.0.1:9>")


def test_close_is_a_name_for_aclose() -> None:
    async def main() -> None:
        client = AsyncAGB("k", NOWHERE)
        await client.close()
        await client.aclose()

    asyncio.run(main())


def test_iterator_of_the_synchronous_flavour_can_be_the_items_of_an_asynchronous_batch() -> None:
    from agb._async._compat.iteration import each

    iterator = AGB("k", NOWHERE).iterate()
    assert type(each(iterator)).__name__ == "_AsyncIterator"


def test_package_says_which_names_are_those_of_a_client() -> None:
    methods = [name for name in vars(AGB) if not name.startswith("_") and callable(getattr(AGB, name))]
    for name in methods:
        if not hasattr(agb, name):  # `agb.session` is a module
            with pytest.raises(AttributeError, match=rf"which clients have: AGB\(\)\.{name}$"):
                getattr(agb, name)
    assert not hasattr(agb, "map")
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        _ = agb.nonsense
