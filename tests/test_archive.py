"""Archives with the data filter of the standard library and with that of `backports.tarfile`."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agb import FileError
from agb._sync.host.archive import packed, unpack


@pytest.fixture(params=["standard library", "backport"], autouse=True)
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "backport":
        pytest.importorskip("backports.tarfile")
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    elif not hasattr(tarfile, "data_filter"):
        pytest.skip("Python before 3.11.4 has no data filter")


def pieces(data: bytes, size: int = 700) -> Iterator[bytes]:
    return iter([data[start : start + size] for start in range(0, len(data), size)])


def test_directory_is_the_same_after_packing_and_unpacking(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub" / "empty").mkdir(parents=True)
    (source / "sub" / "größe").write_bytes(os.urandom(100_000))
    (source / "run").write_text("#!/bin/sh\n")
    (source / "run").chmod(0o755)
    (source / "link").symlink_to("sub/größe")
    received = pieces(b"".join(packed(source)))
    unpack(lambda: next(received, b""), tmp_path / "target")
    target = tmp_path / "target"
    assert (target / "sub" / "größe").read_bytes() == (source / "sub" / "größe").read_bytes()
    assert (target / "sub" / "empty").is_dir()
    assert (target / "link").readlink() == Path("sub/größe")
    assert (target / "run").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["../out", "a/../../out"])
def test_member_outside_the_directory_is_an_error(tmp_path: Path, name: str) -> None:
    received = pieces(tarfile.TarInfo(name).tobuf() + bytes(1024))
    with pytest.raises(FileError, match="out"):
        unpack(lambda: next(received, b""), tmp_path / "target")
    assert not (tmp_path / "out").exists()


def test_link_out_of_the_directory_is_an_error(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    received = pieces(link.tobuf() + bytes(1024))
    with pytest.raises(FileError, match="link"):
        unpack(lambda: next(received, b""), tmp_path / "target")
    assert not (tmp_path / "target" / "link").is_symlink()


def test_damaged_archive_is_an_error(tmp_path: Path) -> None:
    received = pieces(os.urandom(2048))
    with pytest.raises(FileError, match="cannot be unpacked"):
        unpack(lambda: next(received, b""), tmp_path / "target")
