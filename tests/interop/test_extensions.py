"""Browser extensions, as 0.12's extension service keeps them in a context and brings them into a session."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from .harness import Sessions

if TYPE_CHECKING:
    from agb import AGB, Context, ExtensionsService


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An extension of this machine."""
    path = tmp_path / "reader.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("manifest.json", json.dumps({"name": "reader", "manifest_version": 3}))
        made.writestr("icons/größe.txt", "x" * 10_000)
    return path


@pytest.fixture
def extensions(agb: AGB) -> Iterator[ExtensionsService]:
    """A service with a context of its own."""
    from agb import ExtensionsService

    service = ExtensionsService(agb, f"interop-extensions-{uuid4().hex}")
    yield service
    service.cleanup()


def stored(agb: AGB, context_id: str) -> dict[str, int | None]:
    result = agb.context.list_files(context_id, "/tmp/extensions")
    assert result.success, result.error_message
    return {entry.file_path: entry.size for entry in result.entries}


def test_context_is_made_by_its_name(agb: AGB, extensions: ExtensionsService) -> None:
    from agb import ExtensionsService

    context_id = extensions.context_id

    assert context_id
    assert extensions.extension_context.id == context_id
    assert extensions.list() == []
    assert agb.context.get(extensions.context_name).context_id == context_id
    assert ExtensionsService(agb, extensions.context_name).context_id == context_id


def test_context_without_a_name(agb: AGB) -> None:
    from agb import ExtensionsService

    service = ExtensionsService(agb)
    try:
        context_id = service.context_id
        context = agb.context.get(context_id=context_id).context
        assert context is not None
        assert context.name.startswith("extensions-")
    finally:
        assert service.cleanup()
    assert not agb.context.get(context_id=context_id).success


def test_life_of_an_extension(agb: AGB, extensions: ExtensionsService, archive: Path) -> None:
    made = extensions.create(str(archive))

    assert made.name == "reader.zip"
    assert made.id.startswith("ext_")
    assert made.id.endswith(".zip")
    assert stored(agb, extensions.context_id) == {f"/tmp/extensions/{made.id}": archive.stat().st_size}
    (listed,) = extensions.list()
    assert listed.id == made.id
    assert listed.created_at

    newer = archive.with_name("newer.zip")
    newer.write_bytes(b"newer")
    updated = extensions.update(made.id, str(newer))
    assert (updated.id, updated.name) == (made.id, "newer.zip")
    assert stored(agb, extensions.context_id) == {f"/tmp/extensions/{made.id}": 5}

    assert extensions.delete(made.id) is True
    assert extensions.list() == []
    assert extensions.delete(made.id) is False


def test_what_is_no_extension(extensions: ExtensionsService, tmp_path: Path, archive: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("x")

    with pytest.raises(FileNotFoundError):
        extensions.create(str(tmp_path / "nowhere.zip"))
    with pytest.raises(ValueError, match="zip"):
        extensions.create(str(text))
    with pytest.raises(ValueError, match="unknown"):
        extensions.update("ext_unknown.zip", str(archive))
    with pytest.raises(ValueError, match=r"(?i)extension"):
        extensions.create_extension_option([])
    assert extensions.list() == []


def test_extension_in_a_session(agb: AGB, extensions: ExtensionsService, archive: Path, sessions: Sessions) -> None:
    """Only what was chosen arrives, unpacked, its archive deleted there and kept in the context."""
    from agb import CreateSessionParams
    from agb.session_params import BrowserContext

    chosen, other = extensions.create(str(archive)), extensions.create(str(archive))
    profile = agb.context.create(f"interop-profile-{uuid4().hex}").context
    assert profile is not None
    option = extensions.create_extension_option([chosen.id])
    assert option.validate()
    params = CreateSessionParams(
        image_id="agb-browser-use-1", browser_context=BrowserContext(profile.id, extension_option=option)
    )

    result = agb.create(params)

    assert result.success, result.error_message
    session = result.session
    assert session is not None
    sessions.made.append(session.session_id)
    rows = {row.path.rstrip("/"): row for row in session.context.info().context_status_data}
    assert rows["/tmp/extensions"].status == "Success", rows
    assert rows["/tmp/agb_browser_data"].status == "Success"
    found = session.command.execute("cd /tmp/extensions && find . -type f | sort").output.split()
    assert len(found) == 2
    assert found[1].endswith("manifest.json")
    assert not [path for path in found if other.id.removesuffix(".zip") in path]
    assert set(stored(agb, extensions.context_id)) == {f"/tmp/extensions/{item.id}" for item in (chosen, other)}
    assert session.delete().success
    assert len(stored(agb, extensions.context_id)) == 2
    assert agb.context.delete(profile).success


def test_cleanup_deletes_the_context(agb: AGB, archive: Path) -> None:
    from agb import ExtensionsService

    service = ExtensionsService(agb, f"interop-extensions-{uuid4().hex}")
    service.create(str(archive))
    context_id = service.context_id

    assert service.cleanup() is True

    assert not agb.context.get(context_id=context_id).success


@pytest.mark.only_0_12
def test_context_of_the_user_is_deleted_by_0_12(agb: AGB, archive: Path) -> None:
    """Why this project's own service looks first (docs/start/agbcloud-sdk.md)."""
    from agb import ExtensionsService

    mine: Context | None = agb.context.create(f"interop-mine-{uuid4().hex}").context
    assert mine is not None
    assert ExtensionsService(agb, mine.name).cleanup()
    assert not agb.context.get(context_id=mine.id).success
