"""Configuration: where values come from, and what is said about wrong ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import agb
from agb import AGB, AsyncAGB, Config
from agb.config import Endpoint, default_config, load_config, settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_defaults() -> None:
    found = settings("ako-1")
    assert (found.endpoint.value, found.endpoint.source) == ("sdk-api.agb.cloud", "default")
    assert (found.timeout_ms.value, found.timeout_ms.source) == (60_000, "default")
    assert found.timeout == 60
    assert load_config() == default_config() == Config("sdk-api.agb.cloud", 60_000)


def test_order_of_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("AGB_API_KEY=from-file\nAGB_ENDPOINT=file.example\nAGB_TIMEOUT_MS=1500\n")
    before = dict(os.environ)
    found = settings()
    assert (found.api_key.value, found.api_key.source) == ("from-file", ".env AGB_API_KEY")
    assert (found.endpoint.value, found.timeout_ms.value) == ("file.example", 1500)
    assert dict(os.environ) == before
    monkeypatch.setenv("AGB_API_KEY", "from-env")
    monkeypatch.setenv("AGB_ENDPOINT", "")  # empty counts as unset
    found = settings()
    assert (found.api_key.value, found.api_key.source) == ("from-env", "environment AGB_API_KEY")
    assert found.endpoint.source == ".env AGB_ENDPOINT"
    found = settings("from-argument", Config("argument.example", 10))
    assert [found.api_key.source, found.endpoint.source, found.timeout_ms.source] == ["argument"] * 3


@pytest.mark.parametrize("flavour", [AGB, AsyncAGB])
def test_client_shows_what_is_in_force_but_no_key(flavour: type[AGB] | type[AsyncAGB]) -> None:
    client = flavour("ako-secret", Config("http://127.0.0.1:1/base/", 500))
    assert (client.api_key, client.endpoint, client.timeout_ms) == ("ako-secret", "http://127.0.0.1:1/base/", 500)
    assert client.config == Config("http://127.0.0.1:1/base/", 500)
    assert client.client.timeout == 0.5
    assert str(client.client.endpoint) == "http://127.0.0.1:1/base"
    assert client.settings.api_key.value == "ako-secret"
    assert "ako-secret" not in f"{client!r} {client.settings!r} {client.client!r} {client.__dict__['client']!r}"


def test_time_out_of_the_client_goes_before_the_configured_one() -> None:
    assert AGB("k", Config("x.example", 500), timeout=7).client.timeout == 7


@pytest.mark.parametrize("flavour", [AGB, AsyncAGB])
@pytest.mark.parametrize("key", ["", "   "])
def test_no_key(flavour: type[AGB] | type[AsyncAGB], key: str) -> None:
    with pytest.raises(ValueError, match=r"API key is required.*AGB_API_KEY.*local runtime"):
        flavour(key)


@pytest.mark.parametrize("key", ["ako\n1", "ako 1", "clé", "a\x00b"])
def test_key_that_no_header_can_carry(key: str) -> None:
    with pytest.raises(ValueError, match="cannot carry") as caught:
        AGB(key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("value", ["abc", "-5", "0", "1.5", "1e3"])
def test_bad_time_out_in_the_environment(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_TIMEOUT_MS", value)
    with pytest.raises(ValueError, match=r"AGB_TIMEOUT_MS.*whole number of milliseconds above zero, such as 60000"):
        AGB("k")


@pytest.mark.parametrize("value", [0, -1, True, 1.5, None, "abc", float("inf"), float("nan"), 10**400])
def test_bad_time_out_in_a_config(value: int) -> None:
    config = Config("x.example", 500)
    for make in (lambda: Config("x.example", value), lambda: setattr(config, "timeout_ms", value)):
        with pytest.raises(ValueError, match="whole number of milliseconds"):
            make()
    assert AGB("k", config).timeout_ms == 500


@pytest.mark.parametrize("value", [60_000.0, "60000", " 60_000 "])
def test_time_outs_that_0_12_accepts(value: int) -> None:
    assert AGB("k", Config("x.example", value)).timeout_ms == 60_000


class Duck:
    """Another program's configuration, which 0.12 accepts."""

    endpoint = "x.example"
    timeout_ms = 500


def test_configuration_of_another_class() -> None:
    assert AGB("k", Duck()).timeout_ms == 500  # type: ignore[arg-type]
    for wrong in ("http://x.example", {"endpoint": "x.example"}):
        with pytest.raises(TypeError, match=r"cfg is a Config, such as Config\('http"):
            AGB("k", wrong)  # type: ignore[arg-type]


def test_white_space_around_a_key_is_not_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_API_KEY", " ako-1 \n")
    assert AGB().api_key == "ako-1"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("sdk-api.agb.cloud", "https://sdk-api.agb.cloud"),
        ("https://x.example/", "https://x.example"),
        ("http://127.0.0.1:8080/base/", "http://127.0.0.1:8080/base"),
        ("x.example:8443", "https://x.example:8443"),
        ("https://x.example:443/", "https://x.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("HTTP://X.example", "http://x.example"),
        ("bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_endpoint(text: str, url: str) -> None:
    assert str(Endpoint.parse(text)) == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        (None, "is empty"),
        ("ftp://x.example", "ftp://"),
        ("https://", "names no host"),
        ("https://user:geheim@x.example", "user name or password"),
        ("https://x.example:port", "not a URL"),
        ("https://x.example?key=1", "query"),
        ("https://x y.example", "no valid host name"),
    ],
)
def test_bad_endpoint(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Config(text, 1000)
    assert "geheim" not in str(caught.value)
    config = Config("x.example")
    with pytest.raises(ValueError, match=words):
        config.endpoint = text
    assert vars(config) == {"endpoint": "x.example", "timeout_ms": 60_000}


def test_version() -> None:
    assert agb.__version__.count(".") == 2
