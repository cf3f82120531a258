"""fsspec's own tests of file systems, on contexts and on a session; pandas, pyarrow and dask on both."""

from __future__ import annotations

import os
import pickle
import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

fsspec = pytest.importorskip("fsspec")

from fsspec.tests import abstract  # noqa: E402

from agb import AGB, AsyncAGB, CreateSessionParams  # noqa: E402
from agb.integrations.fsspec import AGBContextFileSystem, AGBSessionFileSystem  # noqa: E402
from agb.local import LocalServer  # noqa: E402


@pytest.fixture(autouse=True)
def _configured(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)


@pytest.fixture
def context(_configured: None) -> Iterator[str]:
    name = f"fsspec-{os.urandom(6).hex()}"
    with AGB() as client:
        made = client.context.create(name).raise_for_error()
        yield name
        client.context.delete(made.context).raise_for_error()


@pytest.fixture
def session_id(_configured: None) -> Iterator[str]:
    with AGB() as client, client.session(CreateSessionParams(image_id="agb-code-space-1")) as session:
        yield session.session_id


class Fixtures(abstract.AbstractFixtures):  # type: ignore[misc]
    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return posixpath.join


class ContextFixtures(Fixtures):
    @pytest.fixture
    def fs(self) -> AGBContextFileSystem:
        return AGBContextFileSystem()

    @pytest.fixture
    def fs_path(self, context: str) -> str:
        return f"{context}/data"

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class SessionFixtures(Fixtures):
    @pytest.fixture
    def fs(self) -> AGBSessionFileSystem:
        return AGBSessionFileSystem()

    @pytest.fixture
    def fs_path(self, session_id: str) -> str:
        return f"{session_id}/tmp/data"


class TestContextCopy(abstract.AbstractCopyTests, ContextFixtures): ...  # type: ignore[misc]


class TestContextGet(abstract.AbstractGetTests, ContextFixtures): ...  # type: ignore[misc]


class TestContextPut(abstract.AbstractPutTests, ContextFixtures): ...  # type: ignore[misc]


class TestContextOpen(abstract.AbstractOpenTests, ContextFixtures): ...  # type: ignore[misc]


class TestContextPipe(abstract.AbstractPipeTests, ContextFixtures): ...  # type: ignore[misc]


class TestSessionCopy(abstract.AbstractCopyTests, SessionFixtures): ...  # type: ignore[misc]


class TestSessionGet(abstract.AbstractGetTests, SessionFixtures): ...  # type: ignore[misc]


class TestSessionPut(abstract.AbstractPutTests, SessionFixtures): ...  # type: ignore[misc]


class TestSessionOpen(abstract.AbstractOpenTests, SessionFixtures): ...  # type: ignore[misc]


class TestSessionPipe(abstract.AbstractPipeTests, SessionFixtures): ...  # type: ignore[misc]


@pytest.fixture(params=["agb", "agb-session"])
def base(request: pytest.FixtureRequest) -> str:
    """Return the URL of a directory in a context, and of one in a session."""
    name = request.getfixturevalue("context" if request.param == "agb" else "session_id")
    return f"{request.param}://{name}/tmp/data"


def test_ranges_and_blocks(base: str) -> None:
    data = os.urandom(300_000)
    with fsspec.open(f"{base}/a.bin", "wb") as file:
        file.write(data)
    fs, path = fsspec.url_to_fs(f"{base}/a.bin")
    assert fs.size(path) == len(data)
    assert fs.cat_file(path, start=10, end=20) == data[10:20]
    assert fs.cat_file(path, start=-5) == data[-5:]
    assert fs.cat_file(path, start=5, end=-5) == data[5:-5]
    assert fs.cat_ranges([path, path], [0, 100], [3, 105]) == [data[:3], data[100:105]]
    with fs.open(path, "rb", block_size=4096) as file:
        file.seek(200_000)
        assert file.read(10_000) == data[200_000:210_000]
    with fs.open(path, "ab") as file:
        file.write(b"more")
    assert fs.tail(path, 6) == data[-2:] + b"more"
    assert fs.modified(path).year >= 2020


def test_listings_are_kept_until_something_changes(base: str) -> None:
    fs, root = fsspec.url_to_fs(base)
    fs.pipe({f"{root}/a": b"1", f"{root}/sub/b": b"22"})
    assert fs.ls(root, detail=False) == [f"{root}/a", f"{root}/sub"]
    assert fs.find(root) == [f"{root}/a", f"{root}/sub/b"]
    assert fs.du(root) == 3
    assert fs.glob(f"{root}/**/b") == [f"{root}/sub/b"]
    fs.rm(f"{root}/a")
    assert fs.ls(root, detail=False) == [f"{root}/sub"]
    fs.mv(f"{root}/sub/b", f"{root}/c")
    assert fs.cat(f"{root}/c") == b"22"
    with pytest.raises(FileNotFoundError):
        fs.cat(f"{root}/sub/b")


def test_transaction(base: str) -> None:
    fs, root = fsspec.url_to_fs(base)
    with pytest.raises(ZeroDivisionError), fs.transaction:  # noqa: PT012 - the block is what is tested
        with fs.open(f"{root}/a", "wb") as file:
            file.write(b"1")
        raise ZeroDivisionError
    assert not fs.exists(f"{root}/a")
    with fs.transaction:
        with fs.open(f"{root}/a", "wb") as file:
            file.write(b"1")
        assert not fs.exists(f"{root}/a")
    assert fs.cat(f"{root}/a") == b"1"


@pytest.mark.parametrize("protocol", ["agb", "agb-session"])
def test_what_is_missing(protocol: str) -> None:
    with pytest.raises(FileNotFoundError):
        fsspec.filesystem(protocol).cat_file(f"{protocol}://missing/tmp/a")
    assert not fsspec.filesystem(protocol).exists(f"{protocol}://missing/tmp/a")


def test_contexts_are_directories(context: str) -> None:
    fs = fsspec.filesystem("agb")
    assert context in fs.ls("agb://", detail=False)
    with pytest.raises(FileExistsError):
        fs.mkdir(context)
    fs.mkdir(f"{context}-2")
    fs.pipe_file(f"{context}-2/a", b"1")
    with pytest.raises(OSError, match="not empty"):
        fs.rmdir(f"{context}-2")
    fs.rm(f"{context}-2", recursive=True)
    assert not fs.exists(f"{context}-2")


def test_no_key_in_options() -> None:
    with pytest.raises(TypeError, match="AGB_API_KEY"):
        fsspec.filesystem("agb", api_key="ako-secret")
    fs = fsspec.filesystem("agb")
    assert os.environ["AGB_API_KEY"].encode() not in pickle.dumps(fs)
    assert os.environ["AGB_API_KEY"] not in fs.to_json() + repr(fs)
    assert pickle.loads(pickle.dumps(fs)).client is fs.client
    with pytest.raises(TypeError, match="holds an API key"):
        pickle.dumps(fsspec.filesystem("agb", client=AsyncAGB()))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asynchronous_program(context: str) -> None:
    async with AsyncAGB() as client:
        fs = AGBContextFileSystem(client=client, asynchronous=True)
        await fs._pipe_file(f"{context}/a", b"1 2")
        assert await fs._cat_file(f"{context}/a", start=2) == b"2"


def test_pandas_and_pyarrow(base: str) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    frame.to_csv(f"{base}/t.csv", index=False)
    assert pandas.read_csv(f"{base}/t.csv").equals(frame)
    frame.to_parquet(f"{base}/t.parquet")
    assert pandas.read_parquet(f"{base}/t.parquet", columns=["a"])["a"].tolist() == [1, 2, 3]


def test_dask(base: str) -> None:
    frames: Any = pytest.importorskip("dask.dataframe")
    pandas = pytest.importorskip("pandas")
    frame = frames.from_pandas(pandas.DataFrame({"a": range(100)}), npartitions=4)
    frame.to_csv(f"{base}/part-*.csv", index=False)
    assert int(frames.read_csv(f"{base}/part-*.csv")["a"].sum().compute()) == sum(range(100))


def test_files_of_this_machine(base: str, tmp_path: Path) -> None:
    fs, root = fsspec.url_to_fs(base)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("here")
    fs.put(str(tmp_path / "sub"), f"{root}/sub", recursive=True)
    fs.get(f"{root}/sub", str(tmp_path / "back"), recursive=True)
    assert next((tmp_path / "back").rglob("a.txt")).read_text() == "here"
