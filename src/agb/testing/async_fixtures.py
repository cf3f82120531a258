"""The asynchronous fixtures, to be made by the decorator of the plugin that runs asynchronous tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .. import AsyncAGB, AsyncSession, CreateSessionParams
    from .clients import Connection


def asynchronous_fixtures(fixture: Callable[..., Callable[..., Any]], plugin: str) -> tuple[Any, Any]:
    """Return the fixtures of a client and of a session; ``fixture`` is the plugin's decorator, ``plugin`` its name."""

    async def client(_agb_connection: Connection) -> AsyncIterator[AsyncAGB]:
        async with _agb_connection.async_client() as opened:
            yield opened

    async def session(
        async_agb_client: AsyncAGB, agb_session_params: CreateSessionParams
    ) -> AsyncIterator[AsyncSession]:
        async with async_agb_client.session(agb_session_params) as created:
            yield created

    return (
        fixture(name=f"_async_agb_client_of_{plugin}")(client),
        fixture(name=f"_async_agb_session_of_{plugin}")(session),
    )
