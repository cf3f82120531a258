"""The quickstart: every step of a session's life, for real, with the time each step took.

The command ``agb quickstart`` runs it, with a local runtime, or with ``--cloud`` the configured service.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from urllib.request import urlopen
from uuid import uuid4

from . import AGB, AGBError, AsyncAGB, AsyncSession, Config, CreateSessionParams, __version__
from ._wire.secrets import masked
from .local import serve

IMAGE = "agb-code-space-1"
PAGE = "Hello from a session!"

_SERVE = """
mkdir -p site && echo '{page}' > site/index.html
nohup python3 -m http.server {port} --bind 127.0.0.1 --directory site > server.log 2>&1 &
for try in $(seq 100); do
  if (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; then echo up; exit 0; fi
  sleep 0.05
done
cat server.log >&2; exit 1
"""


class Tour:
    """Reports each step, its duration and its result; counts the steps and the failed ones."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self.say = say
        self.steps = 0
        self.failed = 0

    @contextmanager
    def step(self, what: str) -> Iterator[SimpleNamespace]:
        """Time and report a step; ``shown`` of the yielded object is printed too. A failure is reported and raised."""
        self.steps += 1
        started = time.perf_counter()
        outcome = SimpleNamespace(shown="")
        try:
            yield outcome
        except (AGBError, AssertionError, OSError) as error:
            self.failed += 1
            self.say(f"  FAILED  {what}: {error}")
            raise
        milliseconds = (time.perf_counter() - started) * 1000
        self.say(f"  ok  {what:<36} {milliseconds:7.0f} ms   {outcome.shown}".rstrip())


def expect(right: bool, otherwise: str) -> None:
    """Raise `AssertionError` with the text ``otherwise`` unless ``right``."""
    if not right:
        raise AssertionError(otherwise)


async def asynchronous(agb: AsyncAGB, tour: Tour) -> None:
    """Take every step with the asynchronous client; if one fails, delete the session and raise the error."""
    labels = {"project": "quickstart", "run": uuid4().hex[:8]}
    with tour.step("create a session") as outcome:
        created = (await agb.create(CreateSessionParams(image_id=IMAGE))).raise_for_error()
        session = created.session
        assert session is not None  # a success has one
        outcome.shown = f"{session.session_id} from {IMAGE}"
    try:
        await _use(agb, session, labels, tour)
    except BaseException:
        await session.delete()
        raise
    with tour.step("delete it"):
        (await session.delete()).raise_for_error()
    with tour.step("see that it is gone") as outcome:
        found = await agb.list(labels)
        expect(found.success and not found.session_ids, f"it is still listed: {found.session_ids}")
        late = await session.command.execute("true")
        expect(not late.success, "a command still ran in it")
        outcome.shown = f"a command now says: {late.error.kind.value if late.error else late.error_message}"


async def _use(agb: AsyncAGB, session: AsyncSession, labels: dict[str, str], tour: Tour) -> None:
    with tour.step("label it") as outcome:
        (await session.set_labels(labels)).raise_for_error()
        labels_read = (await session.get_labels()).raise_for_error().data
        expect(labels_read == labels, f"the labels are {labels_read}")
        outcome.shown = " ".join(f"{name}={value}" for name, value in labels_read.items())
    with tour.step("find it again by its labels") as outcome:
        found = (await agb.list(labels)).raise_for_error()
        expect(found.session_ids == [session.session_id], f"found {found.session_ids}")
        outcome.shown = f"{found.total_count} session"
    with tour.step("run Python") as outcome:
        run = (await session.code.run("n = 6\nn * 7", "python")).raise_for_error()
        expect(run.result == "42", f"6 * 7 gave {run.result!r}")
        outcome.shown = f"6 * 7 = {run.result}"
    with tour.step("run Python again, its state is kept") as outcome:
        run = (await session.code.run("print(f'n is still {n}')", "python")).raise_for_error()
        outcome.shown = "".join(run.logs.stdout).strip()
        expect(outcome.shown == "n is still 6", f"it printed {outcome.shown!r}")
    with tour.step("run a shell command") as outcome:
        ran = (await session.command.execute("uname -sr; echo $GREETING", envs={"GREETING": "hi"})).raise_for_error()
        expect(ran.stdout.endswith("hi\n"), f"it printed {ran.stdout!r}")
        outcome.shown = ", ".join(ran.stdout.split("\n")[:2])
    await _fetch_through_link(session, tour)
    with tour.step("ask for its information") as outcome:
        info = (await session.info()).raise_for_error().data
        expect(info["session_id"] == session.session_id, f"the information is about {info['session_id']}")
        outcome.shown = masked(info["resource_url"])
    with tour.step("ask what it uses") as outcome:
        metrics = (await session.get_metrics()).raise_for_error().metrics
        expect(metrics is not None and metrics.mem_used > 0, "the metrics contain no memory")
        if metrics is not None:
            outcome.shown = (
                f"{metrics.mem_used / 2**20:.0f} MiB memory, {metrics.disk_used / 2**10:.0f} KiB disk, "
                f"{metrics.cpu_used_pct:.1f} % of {metrics.cpu_count} processors"
            )


async def _fetch_through_link(session: AsyncSession, tour: Tour) -> None:
    port = random.randint(30100, 30199)  # random, since without isolation the port is one of the machine
    with tour.step("start a web server in it") as outcome:
        script = _SERVE.format(page=PAGE, port=port)
        (await session.command.execute(script, timeout_ms=10_000)).raise_for_error()
        outcome.shown = f"port {port}"
    with tour.step("fetch its page through a link") as outcome:
        link = (await session.get_link(port=port)).raise_for_error().data
        page = await asyncio.to_thread(_fetched, link)
        expect(page == PAGE, f"the page says {page!r}")
        outcome.shown = f"{masked(link)} says: {page}"


def _fetched(url: str) -> str:
    """Return the text at a URL, fetched without this package."""
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - the link is the runtime's own
        text: str = answer.read().decode().strip()
        return text


def synchronous(agb: AGB, tour: Tour) -> None:
    """Take the main steps in a few lines with the synchronous client."""
    with tour.step("create, label, run, delete, gone") as outcome:
        with agb.session(CreateSessionParams(image_id=IMAGE, labels={"project": "quickstart"})) as session:
            outcome.shown = session.code.run("sum(range(10))", "python").raise_for_error().result
            expect(session.get_labels().data == {"project": "quickstart"}, "the labels are not what was set")
            expect(session.command.execute("echo hello").stdout == "hello\n", "the command did not say hello")
        gone = session.get_status()
        expect(gone.status == "FINISH" or not gone.success, f"the session is {gone.status}")
        outcome.shown = f"sum(range(10)) = {outcome.shown}"


# --- the command -------------------------------------------------------------------------------------------------


def say(line: str) -> None:
    """Print a line and flush it, so that it appears at once in a pipe too."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def in_the_cloud(api_key: str, config: Config) -> int:
    """Run it with a configured service; return 0 only if every step succeeded."""
    return _run(api_key, config, lambda client: f"the AGB API at {client.client.endpoint}")


def on_this_machine() -> int:
    """Run it with a local runtime of its own; return 0 only if every step succeeded.

    Raises:
        CannotStart: there can be no local runtime here.
    """
    say("starting a local runtime on this machine ...")
    with serve(allow_none=True) as server:
        if server.report.isolation == "none":
            say(f"note: {server.report.isolation_note}")
            say("      the quickstart goes on, since it runs only its own code")
        where = f"a local runtime at {server.endpoint} (isolation: {server.report.isolation})"
        return _run(server.api_key, Config(server.endpoint, 60_000), lambda _: where)


def _run(api_key: str, config: Config, where: Callable[[AGB], str]) -> int:
    """Run both tours with clients of these settings, and print a summary."""
    tour = Tour(say)
    started = time.perf_counter()

    async def with_async_client() -> None:
        async with AsyncAGB(api_key, config) as agb:
            await asynchronous(agb, tour)

    with AGB(api_key, config) as agb:
        say(f"agb {__version__} with {where(agb)}\n\nthe asynchronous client:")
        try:
            asyncio.run(with_async_client())
            say("\nthe synchronous client, in a few lines:")
            synchronous(agb, tour)
        except (AGBError, AssertionError, OSError) as error:
            if not tour.failed:  # a failed step has reported itself
                tour.failed += 1
                say(f"  FAILED  {error}")
    seconds = time.perf_counter() - started
    if tour.failed:
        say(f"\n{tour.failed} of {tour.steps} steps failed; the session was deleted if it could be")
        return 1
    say(f"\nall {tour.steps} steps succeeded, in {seconds:.1f} s")
    return 0
