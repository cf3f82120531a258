"""File transfer by the session's internal context, as 0.12 does it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agb import Session

    from .harness import Sessions

SIZE = 3_000_000


def test_where_files_go(session: Session) -> None:
    place = session.file.transfer_path()

    assert place
    assert place.startswith("/")
    assert session.file.transfer_path() == place


@pytest.mark.parametrize("name", ["plain.bin", "with space.bin", "größe ☃.bin", "100%+?#.bin"])
def test_upload_then_download(session: Session, tmp_path: Path, name: str) -> None:
    content = os.urandom(SIZE)
    (tmp_path / "here").write_bytes(content)
    place = session.file.transfer_path()

    sent = session.file.upload(str(tmp_path / "here"), f"{place}/{name}")

    assert sent.success, sent.error_message
    assert sent.bytes_sent == SIZE
    assert sent.http_status == 200
    assert sent.etag
    found = session.command.execute(f"wc -c < '{place}/{name}'")
    assert found.output.strip() == str(SIZE)

    got = session.file.download(f"{place}/{name}", str(tmp_path / "back"))

    assert got.success, got.error_message
    assert got.bytes_received == SIZE
    assert (tmp_path / "back").read_bytes() == content


def test_download_of_what_the_session_made(sessions: Sessions, tmp_path: Path) -> None:
    session = sessions.create()
    place = session.file.transfer_path()
    assert session.command.execute(f"echo from the beginning > {place}/begun").success
    begun = session.file.download(f"{place}/begun", str(tmp_path / "begun"))
    assert begun.success, begun.error_message
    (tmp_path / "first").write_bytes(b"")
    assert session.file.upload(str(tmp_path / "first"), f"{place}/first").success
    assert session.command.execute(f"echo made here > {place}/made; echo changed > {place}/first").success
    reported: list[int] = []

    made = session.file.download(f"{place}/made", str(tmp_path / "made"), progress_cb=reported.append)
    first = session.file.download(f"{place}/first", str(tmp_path / "first"))

    assert made.success, made.error_message
    assert first.success, first.error_message
    assert (tmp_path / "made").read_text() == "made here\n"
    assert (tmp_path / "first").read_text() == "changed\n"
    assert reported[-1] == len("made here\n")


def test_failures(session: Session, tmp_path: Path) -> None:
    place = session.file.transfer_path()
    (tmp_path / "here").write_bytes(b"x")

    missing = session.file.upload(str(tmp_path / "missing"), f"{place}/x")
    assert not missing.success
    assert "Local file not found" in str(missing.error_message)
    assert session.file.upload(str(tmp_path / "here"), f"{place}/x").success
    kept = session.file.download(f"{place}/x", str(tmp_path / "here"), overwrite=False)
    assert not kept.success
    assert "overwrite=False" in str(kept.error_message)
    unknown = session.file.download(f"{place}/no such file", str(tmp_path / "new"))
    assert not unknown.success
    assert "get_file_download_url failed" in str(unknown.error_message)
