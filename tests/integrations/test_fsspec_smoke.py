"""The file systems of fsspec, as far as they need no other package."""

from __future__ import annotations

import pytest

from agb import AGB, CreateSessionParams
from agb.local import LocalServer

fsspec = pytest.importorskip("fsspec")


def test_files_of_a_session_and_of_a_context(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)
    with AGB() as client, client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        context = client.context.create(f"smoke-{session.session_id}").raise_for_error().context
        for base in (f"agb-session://{session.session_id}/tmp", f"agb://{context.name}/tmp"):
            with fsspec.open(f"{base}/sub/a.txt", "w") as file:
                file.write("hello")
            fs, root = fsspec.url_to_fs(base)
            assert fs.find(f"{root}/sub") == [f"{root}/sub/a.txt"]
            assert fs.cat_file(f"{root}/sub/a.txt", start=-2) == b"lo"
        client.context.delete(context).raise_for_error()
