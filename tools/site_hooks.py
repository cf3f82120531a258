"""Hooks of the documentation site: both flavours of each example in tabs, edit links, and ``llms.txt``.

The pages are plain Markdown with one flavour of each example, which reads well on a code host. In the site an example
becomes two tabs, "async" and "sync", where `tools.flavours` makes a twin of it.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

from tools.flavours import asynchronous, formatted
from tools.guides import BLOCK, DOCS, ENTRY, FLAVOURS, ROOT, first_sentence, missing_for
from tools.messages import as_page
from tools.site_reference import entry

ON_THE_SITE = (
    "Each example has two tabs, one for each flavour. An asynchronous part of a program shows `await` without the "
    "function around it."
)
FOREIGN_SCRIPT = "https://unpkg.com/iframe-worker/shim"
MARK = re.compile(r"^<!-- (?:long|sync only|one flavour) -->\n", re.MULTILINE)

_twins: dict[Path, list[str | None]] = {}
_texts: dict[str, str] = {}
"""The Markdown of each page, by its address, for ``llms-full.txt``."""


def on_config(config: MkDocsConfig) -> None:
    """Find the address of the repository, for the edit links."""
    config.repo_url = os.environ.get("AGB_REPOSITORY_URL") or _origin()
    if not config.repo_url:
        config.edit_uri = None


def _origin() -> str:
    """Return the web address of the remote repository, empty if there is none."""
    command = ["git", "config", "--get", "remote.origin.url"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    ssh = re.fullmatch(r"(?:ssh://)?git@([^:/]+)[:/](.+)", found)
    address = f"https://{ssh[1]}/{ssh[2]}" if ssh else found
    return address.removesuffix(".git") if address.startswith("https://") and "@" not in address else ""


OF_THE_ROOT = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md", "security.md": "SECURITY.md"}
"""Pages of the site that are files of the repository's root, where code hosts look for them."""


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the generated pages; make the twins of all examples at once, which is much faster than page by page."""
    for name, source in OF_THE_ROOT.items():
        files.append(File.generated(config, name, content=_below_docs((ROOT / source).read_text("utf-8"))))
    files.append(File.generated(config, "reference/messages.md", content=as_page()))
    _twins.update(
        asynchronous({path: path.read_text("utf-8") for path in sorted(DOCS.rglob("*.md")) if not missing_for(path)})
    )


def _below_docs(text: str) -> str:
    """Return a page of the root with its links as of a page of the site."""
    for name, source in OF_THE_ROOT.items():
        text = text.replace(f"]({source})", f"]({name})")
    text = text.replace("](README.md)", "](index.md)").replace("](docs/", "](")
    return re.sub(r"\[([^\]]+)\]\((?:LICENSE|tests|benchmarks)[^)]*\)", r"\1", text)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put both flavours of each example into tabs; say how the entries of the reference are shown."""
    _texts[page.file.src_uri] = MARK.sub("", markdown)
    markdown = ENTRY.sub(lambda found: entry(found[1], 3 if "\n## " in markdown[: found.start()] else 2), markdown)
    twins = _twins.get(Path(page.file.abs_src_path or ""))
    shown = markdown if twins is None else with_tabs(markdown, twins)
    return MARK.sub("", shown.replace(FLAVOURS, ON_THE_SITE))


def with_tabs(text: str, twins: list[str | None]) -> str:
    """Return a page with tabs in place of each block that has a twin."""
    parts = []
    end = 0
    blocks = list(BLOCK.finditer(text))
    sources = iter(formatted([match[1] for match, twin in zip(blocks, twins, strict=True) if twin]))
    for match, twin in zip(blocks, twins, strict=True):
        parts.append(text[end : match.start()])
        end = match.end()
        if twin is None:
            parts.append(match[0])
            continue
        parts.extend((_tab("async", twin), _tab("sync", next(sources))))
        if match[2] is not None:
            parts.append(f"\n```text\n{match[2]}```\n")
    return "".join([*parts, text[end:]])


def _tab(name: str, source: str) -> str:
    return f'=== "{name}"\n\n' + textwrap.indent(f"```python\n{source}```\n", "    ") + "\n"


# --- llms.txt ----------------------------------------------------------------------------------------------------


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> None:
    """Keep the order of the pages."""
    config.extra["ordered"] = list(_sections(nav.items))


def _sections(items: list[Any], section: str = "") -> Iterator[tuple[str, Page]]:
    for item in items:
        if isinstance(item, Page):
            yield section, item
        elif item.children:
            yield from _sections(item.children, section or item.title)


def on_post_build(config: MkDocsConfig) -> None:
    """Write ``llms.txt``, a list of the pages with a sentence on each, and ``llms-full.txt``, all pages as one text."""
    lines = [f"# {config.site_name}", "", f"> {config.site_description}", ""]
    whole = list(lines)
    last = ""
    for section, page in config.extra["ordered"]:
        text = _texts[page.file.src_uri]
        if section != last:
            lines += ["", f"## {section}", ""]
            last = section
        lines.append(f"- [{page.title}]({page.file.dest_uri}): {first_sentence(text)}")
        described = ENTRY.sub(lambda match: as_text(match[1]), text)
        whole += [f"<!-- {page.file.src_uri} -->", "", described.strip(), ""]
    site = Path(config.site_dir)
    for path in site.rglob("*.html"):  # the theme would load a script from elsewhere
        text = path.read_text("utf-8")
        local = "../" * (len(path.relative_to(site).parts) - 1) + "offline-search.js"
        path.write_text(text.replace(FOREIGN_SCRIPT, local), "utf-8")
    (site / "llms.txt").write_text("\n".join(lines) + "\n", "utf-8")
    (site / "llms-full.txt").write_text("\n".join(whole) + "\n", "utf-8")


def as_text(path: str) -> str:
    """Return the signature and the docstring of a public name, and of the methods of a class."""
    module, _, name = path.rpartition(".")
    value = getattr(importlib.import_module(module), name)
    parts = [f"## {name}{_signature(value)}", inspect.getdoc(value) or ""]
    if inspect.isclass(value):
        for member, one in inspect.getmembers(value):
            function = one.fget if isinstance(one, property) else one
            if not member.startswith("_") and inspect.isfunction(function) and function.__module__.startswith("agb"):
                parts += [f"### {name}.{member}{_signature(one)}", inspect.getdoc(one) or ""]
    return "\n\n".join(parts)


def _signature(value: object) -> str:
    if not callable(value):
        return ""
    try:
        return str(inspect.signature(value))
    except (TypeError, ValueError):  # a class of constants, a type alias
        return ""
