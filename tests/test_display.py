"""The display of results in a notebook, and saving their pictures."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from agb import EnhancedCodeExecutionResult, ExecutionError, ExecutionLogs, ExecutionResult

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()
FIGURE = ExecutionResult(text="<Figure>", png=PIXEL, is_main_result=True)


def test_a_figure_is_a_picture() -> None:
    assert FIGURE._repr_mimebundle_() == {"text/plain": "<Figure>", "image/png": PIXEL}
    assert FIGURE._repr_html_() == f'<img src="data:image/png;base64,{PIXEL}" alt="&lt;Figure&gt;">'
    assert EnhancedCodeExecutionResult(results=[FIGURE])._repr_mimebundle_() == FIGURE._repr_mimebundle_()


@pytest.mark.parametrize(
    ("item", "html"),
    [
        (ExecutionResult(text="a<b"), "<pre>a&lt;b</pre>"),
        (ExecutionResult(text="x", html="<b>x</b>"), "<b>x</b>"),
        (ExecutionResult(svg="<svg/>"), "<svg/>"),
        (ExecutionResult(json={"a": "<"}), "<pre>{\n  &quot;a&quot;: &quot;&lt;&quot;\n}</pre>"),
        (ExecutionResult(latex="$x$"), "<pre>$x$</pre>"),
        (ExecutionResult(), None),
    ],
)
def test_html(item: ExecutionResult, html: str | None) -> None:
    assert item._repr_html_() == html


def test_a_run_shows_output_results_and_error() -> None:
    error = ExecutionError("ValueError", "no", "Traceback <1>")
    run = EnhancedCodeExecutionResult(
        logs=ExecutionLogs(["a<", "b\n"], ["oh"]), results=[FIGURE], error=error, success=False
    )
    bundle = run._repr_mimebundle_()
    assert bundle.keys() == {"text/plain", "text/html"}
    html = bundle["text/html"]
    places = [html.index(part) for part in ("a&lt;b", "oh", "<img", "Traceback &lt;1&gt;")]
    assert places == sorted(places)


def test_save(tmp_path: Path) -> None:
    both = ExecutionResult(png=PIXEL, svg="<svg>ü</svg>")
    assert both.save(tmp_path / "f.svg").read_text("utf-8") == "<svg>ü</svg>"
    assert both.save(str(tmp_path / "f.PNG")).read_bytes().startswith(b"\x89PNG")
    assert FIGURE.save(tmp_path / "figure").read_bytes().startswith(b"\x89PNG")
    assert ExecutionResult(jpeg=PIXEL).save(tmp_path / "f.jpg").exists()


@pytest.mark.parametrize(
    ("item", "name", "message"),
    [
        (ExecutionResult(text="x"), "f.png", "f.png: this result has no picture, no png"),
        (ExecutionResult(png=PIXEL), "f.svg", "f.svg: this result has png, no svg"),
        (ExecutionResult(png=PIXEL, svg="<svg/>"), "f", "f: its suffix says which picture to save"),
        (ExecutionResult(png=PIXEL), "f.bmp", "f.bmp: a picture is saved as .png, .jpg, .svg, .gif, .webp or .pdf"),
        (ExecutionResult(png=PIXEL), "f.gif", "f.gif: this result has png, no gif"),
        (ExecutionResult(png="a"), "f.png", "f.png: the png of this result is damaged"),
    ],
)
def test_save_a_missing_format(tmp_path: Path, item: ExecutionResult, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        item.save(tmp_path / name)
    assert not list(tmp_path.iterdir())
