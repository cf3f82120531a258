"""Clients for adapters whose framework has no place for one: shared, so that their limits hold for all creations."""

from __future__ import annotations

from functools import lru_cache

from .. import AsyncAGB, Config
from ..config import Settings, settings


def settings_for(endpoint: str | None = None) -> Settings:
    """Return the settings of a client for an endpoint, by default that of ``AGB_ENDPOINT`` or the cloud.

    Raises:
        ValueError: there is no API key, or a value cannot be used.
    """
    return settings(cfg=Config(endpoint) if endpoint else None)


def shared_client(endpoint: str | None = None) -> AsyncAGB:
    """Return the client of this process for an endpoint and the current API key; it is not to be closed.

    Its connections end with the event loop that they belong to.

    Raises:
        ValueError: there is no API key, or a value cannot be used.
    """
    current = settings_for(endpoint)
    return _client(current.api_key.value, current.endpoint.value)


@lru_cache(maxsize=16)
def _client(api_key: str, endpoint: str) -> AsyncAGB:
    return AsyncAGB(api_key, Config(endpoint))
