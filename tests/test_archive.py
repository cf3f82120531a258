"""Archives of directories of this machine: what they carry, and what cannot be carried or written."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agb import FileError
from agb._sync.host.archive import Packed, Unpacking


def pieces(data: bytes, size: int = 700) -> Iterator[bytes]:
    return iter([data[start : start + size] for start in range(0, len(data), size)])


def unpack(data: bytes, target: Path, max_size: int | None = None) -> dict[str, str]:
    received = pieces(data)
    unpacking = Unpacking(target, max_size)
    unpacking.run(lambda: next(received, b""))
    return unpacking.failures


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member.tobuf()


def file(name: str, content: bytes = b"new") -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o640
    return member.tobuf() + content.ljust(-(-len(content) // 512) * 512, b"\0")


END = bytes(1024)


def test_directory_is_the_same_after_packing_and_unpacking(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub" / "empty").mkdir(parents=True)
    (source / "sub" / "größe").write_bytes(os.urandom(100_000))
    (source / os.fsdecode(b"b\xff \n")).write_text("odd")
    (source / "run").write_text("#!/bin/sh\n")
    (source / "run").chmod(0o777)
    os.utime(source / "run", (1e9, 1e9))
    (source / "link").symlink_to("sub/größe")
    (source / "absolute").symlink_to("/usr/bin/python3")
    (source / "up").symlink_to("../..")
    os.link(source / "run", source / "second")
    os.mkfifo(source / "pipe")
    (source / "sub").chmod(0o700)
    os.utime(source / "sub", (1e9, 1e9))
    packed = Packed(source)
    target = tmp_path / "target"
    assert unpack(b"".join(packed), target) == packed.failures == {}
    assert (target / "sub" / "größe").read_bytes() == (source / "sub" / "größe").read_bytes()
    assert (target / os.fsdecode(b"b\xff \n")).read_text() == "odd"
    assert (target / "sub" / "empty").is_dir()
    links = {"link": "sub/größe", "absolute": "/usr/bin/python3", "up": "../.."}
    assert {name: str((target / name).readlink()) for name in links} == links
    assert not (target / "pipe").exists()
    for name, mode in (("run", 0o777), ("second", 0o777), ("sub", 0o700)):
        found = (target / name).stat()
        assert (found.st_mode & 0o777, found.st_mtime) == (mode, 1e9)


def test_read_only_directory_with_files_in_it(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "a").touch()
    (source / "sub").chmod(0o555)
    assert unpack(b"".join(Packed(source)), tmp_path / "target") == {}
    assert (tmp_path / "target" / "sub").stat().st_mode & 0o777 == 0o555
    (tmp_path / "target" / "sub").chmod(0o755)


@pytest.mark.parametrize("name", ["../out", "a/../../out", ".."])
def test_member_outside_the_directory_is_a_failure(tmp_path: Path, name: str) -> None:
    failures = unpack(file(name) + file("b") + END, tmp_path / "target")
    assert list(failures) == [name]
    assert "leads out" in failures[name]
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "target" / "b").read_text() == "new"


def test_absolute_name_is_below_the_directory(tmp_path: Path) -> None:
    assert unpack(file("/tmp/agb-test-out") + END, tmp_path / "target") == {}
    assert (tmp_path / "target" / "tmp" / "agb-test-out").read_text() == "new"


@pytest.mark.parametrize("there_before", [True, False])
def test_nothing_is_written_through_a_link(tmp_path: Path, there_before: bool) -> None:
    """Neither through one of the archive, nor through one that is there already."""
    outside, target = tmp_path / "outside", tmp_path / "target"
    outside.mkdir()
    (outside / "kept").write_text("old")
    target.mkdir()
    links = {"up": str(outside), "file": str(outside / "kept"), "far": "up/.."}
    data = b"" if there_before else b"".join(link(name, leads) for name, leads in links.items())
    if there_before:
        for name, leads in links.items():
            (target / name).symlink_to(leads)
    hard = link("hard", "up/kept", tarfile.LNKTYPE)
    data += file("up/new") + file("up/kept") + file("file") + file("far/x") + hard + file("last") + END
    assert sorted(unpack(data, target)) == ["far/x", "hard", "up/kept", "up/new"]
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"kept": "old"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "target"]
    assert not (target / "file").is_symlink()
    assert (target / "last").read_text() == "new"
    assert sorted(path.name for path in target.iterdir()) == ["far", "file", "last", "up"]


def test_link_to_a_directory_inside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target" / "real").mkdir(parents=True)
    (tmp_path / "target" / "link").symlink_to("real")
    assert unpack(file("link/a") + END, tmp_path / "target") == {}
    assert (tmp_path / "target" / "real" / "a").read_text() == "new"


def test_what_is_in_the_way(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "directory").mkdir(parents=True)
    (target / "file").write_text("old")
    assert sorted(unpack(file("directory") + file("file/a") + file("c") + END, target)) == ["directory", "file/a"]
    assert (target / "file").read_text() == "old"
    assert (target / "c").read_text() == "new"


def test_too_much(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="more than 5 bytes"):
        unpack(file("a") + file("b") + END, tmp_path / "target", 5)
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["a"]


def test_hard_links_count_with_the_size_of_their_file(tmp_path: Path) -> None:
    links = b"".join(link(f"b{number}", "a", tarfile.LNKTYPE) for number in range(9))
    with pytest.raises(FileError, match="more than 10 bytes"):
        unpack(file("a") + links + END, tmp_path / "target", 10)
    assert len(list((tmp_path / "target").iterdir())) == 3


def test_file_that_becomes_shorter_while_it_is_packed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(bytes(3 << 20))
    (source / "b").write_text("whole")
    packed = Packed(source)
    data = next(packed)
    (source / "a").write_bytes(b"")
    data += b"".join(packed)
    assert packed.damaged == ["a"]
    assert "shorter" in packed.failures["a"]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["a", "b"]


def test_damaged_archive_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be unpacked"):
        unpack(os.urandom(2048), tmp_path / "target")
    assert b"".join(Packed(tmp_path / "target")) == END
