"""The logging of 0.12 by its import path, on the standard library's logger."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from agb.logger import AGBLogger, get_logger, log, mask_sensitive_data
from agb.version_utils import get_sdk_version, is_release_version


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger("agb")
    level, handlers = root.level, list(root.handlers)
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_loggers_are_the_standard_librarys() -> None:
    assert log is get_logger() is logging.getLogger("agb")
    assert get_logger("mine").name == "agb.mine"
    assert AGBLogger.get_logger("agb.mine") is get_logger("mine")


def test_setup_touches_this_logger_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = list(logging.getLogger().handlers)
    AGBLogger.setup("debug", log_file=tmp_path / "agb.log")
    log.debug("one")
    AGBLogger.setup("INFO")
    AGBLogger.set_level("WARNING")
    log.info("two")
    log.warning("three")
    assert logging.getLogger().handlers == others
    assert "one" in (tmp_path / "agb.log").read_text()
    written = capsys.readouterr().err
    assert "two" not in written
    assert "WARNING agb: three" in written
    with pytest.raises(ValueError, match="NOISY"):
        AGBLogger.setup("noisy")


def test_secrets_are_masked() -> None:
    data = {"api_key": "geheim", "deep": [{"mine": "geheim", "n": 1}]}
    assert mask_sensitive_data(data) == {"api_key": "****", "deep": [{"mine": "geheim", "n": 1}]}
    assert mask_sensitive_data(data, ["mine"]) == {"api_key": "****", "deep": [{"mine": "****", "n": 1}]}
    assert data["api_key"] == "geheim"


def test_version() -> None:
    assert get_sdk_version().count(".") == 2
    assert is_release_version() is True
