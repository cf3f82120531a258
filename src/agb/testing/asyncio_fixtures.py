"""The asynchronous fixtures as those of pytest-asyncio; loaded where that plugin is."""

from __future__ import annotations

import pytest_asyncio

from .async_fixtures import asynchronous_fixtures

client, session = asynchronous_fixtures(pytest_asyncio.fixture, "asyncio")
