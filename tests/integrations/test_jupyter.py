"""Notebooks and kernels in sessions, run by nbclient and jupyter_client as a user's are."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

from jupyter_client.manager import KernelManager  # noqa: E402

from agb import AGB  # noqa: E402
from agb.integrations import jupyter  # noqa: E402
from agb.local import LocalServer  # noqa: E402

SECONDS = 120
IMPORTS = """\
import warnings
warnings.simplefilter("error")
from agb import AGB, AsyncAGB, CreateSessionParams
params = CreateSessionParams(image_id="agb-code-space-1")
"""
ASYNCHRONOUS = """\
async with AsyncAGB() as client, client.session(params) as session:
    result = await session.code.run("6 * 7", "python")
result.result
"""
SYNCHRONOUS = """\
with AGB() as client, client.session(params) as session:
    session.file.write("/tmp/a.bin", bytes(100_000), progress=True).raise_for_error()
    listing = session.file.list("/tmp")
listing
"""


@pytest.fixture(autouse=True)
def _configured(runtime: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AGB_API_KEY", runtime.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", runtime.endpoint)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


@pytest.fixture
def no_session_is_left() -> Iterator[None]:
    def owned() -> set[str]:
        with AGB() as client:
            return {one.session_id for one in client.iterate()}

    before = owned()
    yield
    assert owned() <= before


def executed(cells: list[str], kernel: str = "python3", **options: Any) -> list[Any]:
    """Run a notebook, and return its cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=SECONDS, kernel_name=kernel, **options).execute()
    cells_run: list[Any] = notebook.cells
    return cells_run


def texts(cell: Any, kind: str) -> list[str]:
    """Return the plain texts of the outputs of a cell that are of one kind."""
    return [
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
        if output.output_type == kind
    ]


@pytest.mark.usefixtures("no_session_is_left")
def test_cells_in_a_session() -> None:
    cells = executed(
        [
            "%load_ext agb",
            "%%agb\nimport sys\nprint('one')\nprint('two', file=sys.stderr)\nx = 6\nx * 7",
            "%%agb --out result\nfrom IPython.display import HTML\ndisplay(HTML('<b>bold</b>'))\nx",
            "result.success, result.result, _",
            "%%agb -l javascript\n[1, 2].map(n => n + 1)",
            "%agb list",
            "%agb session",
        ]
    )
    assert texts(cells[1], "stream") == ["one\n", "two\n"]
    assert texts(cells[1], "execute_result") == ["42"]
    assert any(output.get("data", {}).get("text/html") == "<b>bold</b>" for output in cells[2].outputs)
    assert texts(cells[3], "execute_result")[0].startswith("(True,")
    assert "2, 3" in texts(cells[4], "execute_result")[0]
    assert "default" in texts(cells[5], "execute_result")[0]
    assert "<table>" in cells[6].outputs[0].data["text/html"]


@pytest.mark.usefixtures("no_session_is_left")
def test_failing_cell_stops_the_notebook_with_the_traceback_of_the_session() -> None:
    cells = executed(["%load_ext agb", "%%agb\ndef f():\n    return 1 / 0\nf()", "1 + 1"], allow_errors=True)
    (output,) = cells[1].outputs
    assert output.output_type == "error"
    assert output.ename == "CellError"
    assert "ZeroDivisionError" in "".join(output.traceback)
    assert "stream(" not in "".join(output.traceback)  # no line of this package


@pytest.mark.usefixtures("no_session_is_left")
def test_both_flavours_work_in_a_cell_without_a_warning() -> None:
    cells = executed([IMPORTS, ASYNCHRONOUS, SYNCHRONOUS])
    assert texts(cells[1], "execute_result") == ["'42'"]
    assert "a.bin" in cells[2].outputs[-1].data["text/html"]
    assert not texts(cells[2], "stream")
    shown = [output.data for output in cells[2].outputs if output.output_type == "display_data"]
    assert any(
        "application/vnd.jupyter.widget-view+json" in data or "<progress" in data.get("text/html", "") for data in shown
    )


@pytest.mark.usefixtures("no_session_is_left")
def test_notebook_whose_kernel_runs_in_a_session() -> None:
    jupyter.install()
    cells = executed(
        [
            "import os; os.environ['HOME']",
            "x = 5\nx",
            "print(x + 1)",
            "from IPython.display import HTML\nHTML('<i>it</i>')",
        ],
        kernel=jupyter.NAME,
    )
    assert texts(cells[0], "execute_result") == ["'/home/user'"]
    assert texts(cells[1], "execute_result") == ["5"]
    assert texts(cells[2], "stream") == ["6\n"]
    assert cells[3].outputs[0].data["text/html"] == "<i>it</i>"


@pytest.mark.usefixtures("no_session_is_left")
def test_interrupt_restart_and_completion() -> None:
    jupyter.install()
    manager = KernelManager(kernel_name=jupyter.NAME)
    manager.start_kernel()
    client: Any = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=SECONDS)
        begun = threading.Event()

        def on_output(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                begun.set()

        def interrupt() -> None:
            begun.wait(SECONDS)
            manager.interrupt_kernel()

        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        code = "x = 5\nprint('begun', flush=True)\nimport time\ntime.sleep(1000)"
        reply = client.execute_interactive(code, timeout=SECONDS, output_hook=on_output)
        interrupter.join()
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        assert "path" in client.complete("import os; os.pat", reply=True, timeout=SECONDS)["content"]["matches"]
        manager.restart_kernel()
        client.wait_for_ready(timeout=SECONDS)
        reply = client.execute_interactive("x", timeout=SECONDS, output_hook=lambda message: None)
        assert reply["content"]["ename"] == "NameError"
        assert manager.is_alive()
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_kernel_whose_session_has_ended_is_reported_as_ended() -> None:
    jupyter.install()
    manager = KernelManager(kernel_name=jupyter.NAME)
    manager.start_kernel()
    try:
        provisioner = manager.provisioner
        assert isinstance(provisioner, jupyter.AGBProvisioner)
        session = provisioner._session
        assert session is not None
        with AGB() as client:
            client.attach(session.session_id).delete().raise_for_error()
        ends = time.monotonic() + SECONDS
        while manager.is_alive():
            assert time.monotonic() < ends
    finally:
        manager.shutdown_kernel(now=True)


def test_specification_names_the_provisioner() -> None:
    directory = Path(jupyter.install(image_id="agb-code-space-2"))
    assert directory.name == "agb-python"
    text = (directory / "kernel.json").read_text()
    assert '"agb-provisioner"' in text
    assert '"agb-code-space-2"' in text
    assert os.environ["AGB_API_KEY"] not in text
