"""Sessions of the project: ``nox -s lint``, ``nox -s tests`` and so on; ``nox --list`` says what each is for."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False

PYTHONS = ["3.11", "3.12", "3.13"]
SYSTEM_PYTHON = "/usr/bin/python3.11"
"""On Debian 12 this is 3.11.2, which lacks what later patch versions added (filters of tarfile, for example)."""
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
GROUPS = nox.project.load_toml("pyproject.toml")
SDK_TO_COMPARE_WITH = "agbcloud-sdk==0.12.0"
APPLICATIONS = ["gradio>=5", "ipykernel>=6.29", "jupyter-server>=2.14", "streamlit>=1.40"]
"""Web applications that run behind links unchanged."""
NODE_APPLICATION = "vite@7"
INTEGRATIONS = {
    "deepagents": "3.11",
    "fsspec": "3.11",
    "harbor": "3.12",
    "inspect": "3.11",
    "jupyter": "3.11",
    "mcp": "3.11",
    "openai-agents": "3.11",
    "pydantic-ai": "3.11",
    "smolagents": "3.11",
    "swerex": "3.11",
}
"""The adapters for frameworks, which are extras of the same names, and the Python that each is tested with."""
INTEGRATION_SUITES = {
    "deepagents": ["langchain-tests>=1.1.9,<1.2"],
    "fsspec": ["dask[dataframe]", "pandas", "pyarrow"],
    "jupyter": ["ipywidgets>=8", "nbclient>=0.10"],
}
"""What the suites of adapters need besides."""
INTEGRATION_MINIMA = {"deepagents": ["deepagents==0.6.12"], "pydantic-ai": ["pydantic-ai-slim==2.66.0"]}
"""The oldest versions with which a suite is run once more."""

PLATFORM_NOTES = (
    "uvloop: tests/test_platforms.py runs the client on it, where it is installed (Linux and macOS)",
    "Windows: not run here; there, tests/test_platforms.py, tests/ops and tests/wire run without the local runtime",
    "macOS: not run here; the same as Windows",
)
"""What the tests do not show on this machine."""

nox.options.sessions = ["lint", "types", f"tests-{THIS_PYTHON}"]


def install(session: nox.Session, *groups: str, extra: str = "[local]") -> None:
    """Install the package for development, and groups of pyproject.toml."""
    session.install("-e", f".{extra}", *nox.project.dependency_groups(GROUPS, *groups))


def install_other_sdk(session: nox.Session, *more: str) -> str:
    """Make an environment of its own for the other SDK, which is imported as `agb` too, and return its python."""
    directory = Path(session.create_tmp()).resolve() / "agbcloud"
    session.run("python", "-m", "venv", str(directory), silent=True)
    python = str(directory / ("Scripts" if os.name == "nt" else "bin") / "python")
    session.run(python, "-m", "pip", "install", "-q", SDK_TO_COMPARE_WITH, *more, external=True)
    return python


@nox.session
def generate(session: nox.Session) -> None:
    """Write the synchronous flavour from the asynchronous one."""
    install(session, "lint", extra="")
    session.run("python", "tools/unasync.py", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests, on every Python that is supported and installed."""
    install(session, "dev")
    for note in PLATFORM_NOTES:
        session.log(note)
    session.run("python", "-m", "pytest", *(session.posargs or ["-q"]))


@nox.session(python=SYSTEM_PYTHON)
def lowest_patch(session: nox.Session) -> None:
    """Run the tests on the oldest patch version of Python that a supported distribution ships, if it is installed."""
    install(session, "dev")
    session.run("python", "--version")
    session.run("python", "-m", "pytest", *(session.posargs or ["-q"]))


@nox.session(python=False)
def ordinary_user(session: nox.Session) -> None:
    """Run the commands of the README in a clone, as a user without privileges: the last commit, the system's Python.

    Root makes a user for it and removes it afterwards. Arguments go to pytest.
    """
    with unprivileged(session) as (as_user, home):
        clone = home / "clone"
        session.run("git", "clone", "-q", "--no-hardlinks", ".", str(clone), external=True)
        session.run("chown", "-R", home.owner(), str(clone), external=True)
        session.chdir(clone)
        for name, arguments in (("quickstart-command", []), ("test-command", session.posargs)):
            command = " ".join([readme_command(name), *map(shlex.quote, arguments)])
            session.run(*as_user, "sh", "-c", command, external=True)


@contextmanager
def unprivileged(session: nox.Session) -> Iterator[tuple[list[str], Path]]:
    """Make an ordinary user; yield the beginning of a command line that runs a program as this user, and the home.

    Without privileges that is the user who runs nox, with a new directory as the home.
    """
    if os.geteuid() != 0:
        home = Path(session.create_tmp()).resolve() / "ordinary-user"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        yield ["env", f"HOME={home}", f"PATH={SYSTEM_PATH}"], home
        return
    name = f"agb-{secrets.token_hex(4)}"
    session.run("useradd", "--create-home", name, external=True)
    try:
        home = Path("~" + name).expanduser()
        kept = [f"{key}={value}" for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_CERT_"))]
        user = ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups", "--no-new-privs"]
        yield [*user, "env", "-i", f"HOME={home}", f"USER={name}", f"PATH={SYSTEM_PATH}", *kept], home
    finally:
        session.run("userdel", "--force", "--remove", name, external=True, silent=True)


def readme_command(name: str) -> str:
    """Return the command that the README shows behind a marker."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- {name} -->\n```sh\n(.*)\n```\n", text)
    if found is None:
        raise LookupError(f"README.md has no command behind <!-- {name} -->")
    return found[1]


@nox.session
def long(session: nox.Session) -> None:
    """Run the tests of random input, kills, races and size for longer: more examples, rounds, creations, and bytes.

    Then those that the test command leaves out: real browsers and desktops in both flavours, and the marked ``long``.
    """
    install(session, "dev")
    variables = {
        "AGB_EXAMPLES": "1000",
        "AGB_ORPHAN_RUNS": "1000",
        "AGB_EVENT_LOOPS": "all",
        "AGB_KILL_ROUNDS": "50",
        "AGB_RACE_ROUNDS": "300",
        "AGB_SPARSE_MIB": "5120",
    }
    files = (
        f"tests/local/test_{name}.py"
        for name in ("app", "context_kill", "context_store", "mount_failures", "mount_kill")
    )
    command = ["python", "-m", "pytest", "-q", "tests/ops", "tests/async_only/test_orphans.py", *files]
    session.run(*command, *session.posargs, env=variables)
    left_out = {"AGB_FLAVOURS": "all", "AGB_LONG": "all"}
    session.run("python", "-m", "pytest", "-q", "-m", "one_flavour or long", *session.posargs, env=left_out)


@nox.session
def cancellation(session: nox.Session) -> None:
    """Cancel batches and calls at many more points than the tests do."""
    install(session, "dev")
    more = {"AGB_CANCELLATION_STEPS": "100", "AGB_CANCELLATION_SEEDS": "30"}
    files = (f"tests/async_only/test_{name}_cancellation.py" for name in ("map", "pool"))
    session.run("pytest", *files, *session.posargs, env=more)


@nox.session
def lint(session: nox.Session) -> None:
    """Look for mistakes of style, and for generated files that are not what their source makes them."""
    install(session, "lint", extra="")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", "tools/unasync.py", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types with mypy and pyright."""
    install(session, "dev")
    session.run("mypy")
    # Pyright is a program for node. Without one its wrapper would fetch a node of its own from somewhere else.
    if not (shutil.which("node") and shutil.which("npm")):
        session.warn("pyright is left out: it needs node and npm")
        return
    session.run("pyright", env={"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"})
    session.run("python", "-m", "pytest", "-q", "-n0", "tests/test_documented_types.py", env={"AGB_CHECK_TYPES": "1"})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site of the documentation into build/site; a warning is an error."""
    install(session, "dev")
    session.run(
        "python", "-m", "mkdocs", "build", "--strict", "--quiet", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"}
    )


@nox.session
def examples(session: nox.Session) -> None:
    """Run the examples of the README, the documentation and the docstrings, and the programs of `examples/`."""
    install(session, "dev")
    session.run(
        "python",
        "-m",
        "pytest",
        "-q",
        "tests/test_docs.py",
        "tests/test_examples.py",
        *session.posargs,
        env={"AGB_LONG": "all"},
    )


@nox.session
def pictures(session: nox.Session) -> None:
    """Make the pictures of the documentation, in a real terminal, a real notebook and a real Chromium."""
    install(session, "dev", "pictures", extra="[local,jupyter]")
    session.run("python", "tools/screenshots.py")
    session.run("python", "-m", "tools.guide_pictures")


@nox.session
def package(session: nox.Session) -> None:
    """Build the wheel and the sdist, check them, and install each into an empty environment."""
    session.install(*nox.project.dependency_groups(GROUPS, "package"))
    target = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(target, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(target), ".")
    built = [str(path) for path in sorted(target.iterdir())]
    session.run("twine", "check", "--strict", *built)
    for path in built:
        home = target.parent / f"installed-{Path(path).suffix[1:]}"
        shutil.rmtree(home, ignore_errors=True)
        session.run("python", "-m", "venv", str(home), silent=True)
        python = str(home / "bin" / "python")
        session.run(python, "-m", "pip", "install", "-q", path, external=True)
        session.run(python, "tools/check_installed.py", external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Compare speed and size with httpx and with agbcloud-sdk, in one run."""
    install(session, "test", "bench")
    python = install_other_sdk(session)
    session.run("python", "-m", "benchmarks", *session.posargs, env={"AGBCLOUD_PYTHON": python})


@nox.session
def soak(session: nox.Session) -> None:
    """Make, use and delete a thousand sessions of the local runtime; what it holds must stay the same."""
    install(session, "test")
    session.run("python", "-m", "benchmarks.soak", *session.posargs)


@nox.session
def links(session: nox.Session) -> None:
    """Open Streamlit, Gradio, Jupyter and Vite behind links in Chromium, if that is installed."""
    install(session, "test")
    directory = Path(session.create_tmp()).resolve() / "applications"
    session.run("python", "-m", "venv", str(directory), silent=True)
    python = str(directory / "bin" / "python")
    session.run(python, "-m", "pip", "install", "-q", *APPLICATIONS, external=True)
    env = {"AGB_APPLICATIONS_PYTHON": python}
    if shutil.which("npm"):
        session.run("npm", "install", "--silent", "--prefix", str(directory), NODE_APPLICATION, external=True)
        env["AGB_APPLICATIONS_VITE"] = str(directory / "node_modules" / "vite" / "bin" / "vite.js")
    else:
        session.warn("Vite is left out: it needs npm")
    command = ["python", "-m", "pytest", "-n0", "tests/local/test_link_applications.py"]
    session.run(*command, *session.posargs, env=env)


@nox.session
def puppeteer(session: nox.Session) -> None:
    """Drive the browser of a session with Puppeteer, which npm installs; needs node and Chromium."""
    install(session, "test")
    directory = Path(session.create_tmp()).resolve()
    session.run(
        "npm", "install", "--prefix", str(directory), "--no-audit", "--no-fund", "puppeteer-core", external=True
    )
    command = ["python", "-m", "pytest", "-n0", "tests/local/test_puppeteer.py"]
    session.run(*command, *session.posargs, env={"AGB_PUPPETEER": f"{directory}/node_modules/puppeteer-core"})


@nox.session
@nox.parametrize(["python", "adapter"], [nox.param(INTEGRATIONS[name], name, id=name) for name in INTEGRATIONS])
def integrations(session: nox.Session, adapter: str) -> None:
    """Test an adapter with its framework: the suite, the examples of its guide, and the types."""
    install(session, "test", "types", extra=f"[local,{adapter}]")
    if packages := INTEGRATION_SUITES.get(adapter):
        session.install("--upgrade", "-e", f".[{adapter}]", *packages)
    module = adapter.replace("-", "_")
    suite = [str(path) for path in sorted(Path("tests/integrations").glob(f"test_{module}*.py"))]
    # The frameworks use what they themselves have deprecated, and leave streams in memory to the collector.
    warnings = ["-W", "ignore::DeprecationWarning", "-W", "ignore:Unclosed <MemoryObject:ResourceWarning"]
    command = ["python", "-m", "pytest", "-q", *warnings]
    session.run(*command, *suite, *session.posargs, env={"AGB_INTEGRATIONS": "all"})
    session.run(*command, "-n0", "tests/test_docs.py", "-k", f"integrations and ({adapter} or {module})")
    session.run("mypy", f"--python-version={session.python}", "-p", f"agb.integrations.{module}")
    if adapter == "swerex":
        run_tests_of_swerex(session)
    if packages := INTEGRATION_MINIMA.get(adapter):
        session.install(*packages, *INTEGRATION_SUITES.get(adapter, ()))
        session.run(*command, *suite, *session.posargs, env={"AGB_INTEGRATIONS": "all"})


def run_tests_of_swerex(session: nox.Session) -> None:
    """Run SWE-ReX's own tests of runtimes, unmodified, on a session."""
    session.install("aiohttp", "setuptools")  # which its tests need, and its package does not require
    sources = unpacked_sources(session, "swe-rex==1.4.0")
    conftest = Path("tests/integrations/swerex_conftest.py").read_text(encoding="utf-8")
    (sources / "tests" / "conftest.py").write_text(conftest, encoding="utf-8")
    (sources / "tests" / "__init__.py").touch()
    settings, tests = str(sources / "pyproject.toml"), str(sources / "tests" / "test_execution.py")
    session.run("python", "-m", "pytest", "-q", "-c", settings, tests)


def unpacked_sources(session: nox.Session, requirement: str) -> Path:
    """Fetch the source distribution of a package, with its tests, and return its directory."""
    directory = Path(session.create_tmp()).resolve()
    shutil.rmtree(directory / "sources", ignore_errors=True)
    name = requirement.partition("=")[0]
    options = ["--no-deps", "--no-build-isolation", "--no-binary", name, "-d", str(directory / "sources")]
    session.run("python", "-m", "pip", "download", "-q", *options, requirement)
    [archive] = (directory / "sources").glob("*.tar.gz")
    shutil.unpack_archive(archive, directory / "sources", filter="data")
    [unpacked] = (path for path in (directory / "sources").iterdir() if path.is_dir())
    return unpacked


@nox.session
def interop(session: nox.Session) -> None:
    """Drive the local runtime with agbcloud-sdk, a client that was not written here."""
    session.install("-e", ".[local]")
    python = install_other_sdk(session, "pytest")
    command = [python, "-m", "pytest", "-c", "tests/interop/pytest.ini", "tests/interop"]
    runtime = shutil.which("python", path=session.bin)
    session.run(*command, *session.posargs, external=True, env={"AGB_RUNTIME_PYTHON": runtime})


@nox.session
def quickstart(session: nox.Session) -> None:
    """Run the tour of the README on the local runtime, with what its user would install and nothing more."""
    session.install("-e", ".[local]")
    session.run("agb", "quickstart", *session.posargs)
