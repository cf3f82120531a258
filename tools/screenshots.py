"""Makes the pictures of the command line, the dashboard and a notebook: what a person sees in a terminal and a browser.

    nox -s pictures

It starts a local runtime with a few sessions, runs commands in a pseudo-terminal, opens the dashboard, executes a
notebook, and writes ``docs/images/quickstart.png``, ``command-line.png``, ``dashboard.png``, ``dashboard-session.png``
and ``notebook.png``.
"""

from __future__ import annotations

import io
import os
import pty
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.text import Text

import agb.local
from agb import AGB, Config, CreateSessionParams, Session

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
COLOURS = 128
CELLS = (
    "%load_ext agb",
    """%%agb
import pandas

sold = pandas.DataFrame({"month": ["Jan", "Feb", "Mar"], "sold": [12, 19, 31]}).set_index("month")
print("in the session:", sold["sold"].sum(), "sold")
sold""",
    """%%agb
sold.plot.bar(rot=0, figsize=(5, 2.2));""",
    """session = %agb session default
session.command.execute("wc -l /etc/passwd; cat missing.txt")""",
)
"""The cells of the notebook."""
PAGE = """<!doctype html><meta charset=utf-8><style>
body {{ margin: 0; background: #1e1e2e; }}
pre {{ margin: 0; padding: 18px 22px; color: #e6edf3; font: 14px/1.45 monospace; }}
</style><pre>{code}</pre>"""


def main() -> None:
    """Write all pictures."""
    IMAGES.mkdir(exist_ok=True)
    params = CreateSessionParams(image_id="agb-code-space-1", labels={"project": "demo", "stage": "test"})
    with agb.local.serve(allow_none=True) as server, AGB(server.api_key, Config(server.endpoint)) as client:
        os.environ["AGB_API_KEY"], os.environ["AGB_ENDPOINT"] = server.api_key, server.endpoint
        with client.session(params) as session, client.session(params) as other, sync_playwright() as playwright:
            use(session)
            other.command.execute("sleep 0.2")
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
            terminal(browser, "quickstart.png", [["quickstart"]])
            terminal(browser, "command-line.png", commands(session))
            dashboard(browser, session)
            notebook(browser)
            browser.close()


def use(session: Session) -> None:
    """Do a few things that the dashboard shows."""
    session.code.run("import math\nprint('hello')\nmath.factorial(20)", "python")
    session.file.write("report.txt", "42\n")
    session.command.execute("ls -l; cat missing.txt", timeout_ms=10_000)
    session.command.start(["python3", "-m", "http.server", "30100"])
    session.get_link(port=30100)


def commands(session: Session) -> list[list[str]]:
    """Return the commands that the guide of the command line shows."""
    return [
        ["run", "-c", "print('hello'); 6 * 7"],
        ["ls", "--label", "project=demo"],
        ["exec", session.session_id, "--", "sh", "-c", "wc -c report.txt"],
        ["session", "stats"],
        ["images"],
    ]


def terminal(browser: Browser, name: str, typed: list[list[str]]) -> None:
    """Write the picture of a terminal in which commands were run."""
    text = Text()
    for words in typed:
        shown = " ".join(f'"{word}"' if " " in word else word for word in words)
        text.append("$ ", style="bold green").append(f"agb {shown}\n", style="bold")
        text.append_text(Text.from_ansi(in_terminal(words)))
        text.append("\n")
    recorded = Console(record=True, width=110, file=io.StringIO(), force_terminal=True)
    recorded.print(text)
    page = browser.new_page(viewport={"width": 960, "height": 100}, device_scale_factor=1.5)
    page.set_content(PAGE.format(code=recorded.export_html(inline_styles=True, code_format="{code}")))
    write(name, page.screenshot(full_page=True))
    page.close()


def in_terminal(words: list[str]) -> str:
    """Return what a command prints in a terminal of 110 columns."""
    own, inner = pty.openpty()
    env = os.environ | {"TERM": "xterm-256color", "COLUMNS": "110"}
    process = subprocess.Popen([sys.executable, "-m", "agb", *words], stdin=inner, stdout=inner, stderr=inner, env=env)
    os.close(inner)
    printed = b""
    while True:
        try:
            printed += os.read(own, 65536)
        except OSError:  # the command has ended
            break
    process.wait()
    os.close(own)
    return printed.decode().replace("\r\n", "\n")


def dashboard(browser: Browser, session: Session) -> None:
    """Write the pictures of the dashboard."""
    address = subprocess.run(
        [sys.executable, "-m", "agb", "open", "--print"], capture_output=True, text=True, check=True
    )
    page = browser.new_page(viewport={"width": 1100, "height": 420})
    page.goto(address.stdout.strip())
    page.wait_for_selector("#sessions polyline", state="attached")  # a flat line counts as hidden
    time.sleep(8)  # a few measurements make a line
    write("dashboard.png", page.screenshot())
    page.click(f"#to-{session.session_id}")
    page.wait_for_selector("#calls details")
    page.locator("#calls details").nth(0).evaluate("details => details.open = true")
    page.set_viewport_size({"width": 1100, "height": 900})
    write("dashboard-session.png", page.screenshot())
    page.close()


def notebook(browser: Browser) -> None:
    """Write the picture of a notebook whose cells run in a session."""
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    shown = nbformat.v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
    NotebookClient(shown, timeout=120, kernel_name="python3").execute()
    html, _ = HTMLExporter(template_name="lab").from_notebook_node(shown)
    page = browser.new_page(viewport={"width": 900, "height": 400}, device_scale_factor=1.5)
    page.route("http*://**", lambda route: route.abort())  # MathJax, which no cell needs
    page.set_content(html)
    write("notebook.png", page.locator("main").screenshot())
    page.close()


def write(name: str, data: bytes) -> None:
    """Write a picture with few colours, so that the repository stays small."""
    target = IMAGES / name
    with Image.open(io.BytesIO(data)) as picture:
        picture.convert("RGB").quantize(COLOURS).save(target, optimize=True)
    sys.stderr.write(f"wrote docs/images/{name} ({target.stat().st_size:,} bytes)\n")


if __name__ == "__main__":
    main()
