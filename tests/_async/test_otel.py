"""OpenTelemetry: one span for each operation, what it contains and what it never does, and the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import frozen
from opentelemetry import trace
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agb import AsyncAGB, AsyncSession, Config, CreateSessionParams
from agb._async._compat.concurrency import gather
from agb.local import LocalServer
from agb.otel import AGBInstrumentor
from tests.servers import refuse, scripted, value

pytestmark = [pytest.mark.anyio, pytest.mark.one_event_loop]

PARAMS = CreateSessionParams(image_id="agb-code-space-1")


@frozen
class Telemetry:
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    tracers: TracerProvider

    def spans(self, name: str = "") -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name or not name]

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    AGBInstrumentor().instrument(tracer_provider=tracers, meter_provider=meters)
    try:
        yield Telemetry(exporter, reader, tracers)
    finally:
        AGBInstrumentor().uninstrument()
        meters.shutdown()
        tracers.shutdown()


def client(runtime: LocalServer) -> AsyncAGB:
    return AsyncAGB(runtime.api_key, Config(runtime.endpoint))


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_one_span_for_each_operation(runtime: LocalServer, telemetry: Telemetry) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        assert (await session.code.run("secret_name = 6 * 7; secret_name", "py")).success
        assert (await session.command.execute("echo secret_output; exit 3")).exit_code == 3
        assert (await session.file.write("/tmp/note", "secret content")).success
    names = ["agb.create", "agb.code.run", "agb.command.execute", "agb.file.write", "agb.session.delete"]
    assert [span.name for span in telemetry.spans()] == names
    create, run, execute, write, _ = map(attributes, telemetry.spans())
    assert create["agb.image.id"] == "agb-code-space-1"
    assert create["server.address"] == "127.0.0.1"
    assert create["agb.requests"] >= 1
    assert run["agb.session.id"] == create["agb.session.id"] == session.session_id
    assert (run["agb.language"], run["agb.outcome"]) == ("python", "success")
    assert (execute["process.exit.code"], execute["agb.outcome"]) == (3, "program_failed")
    assert write["agb.bytes.sent"] > 10
    text = "".join(span.to_json() for span in telemetry.spans())
    for secret in ("secret_name", "secret_output", "secret content", runtime.api_key, "/tmp/note"):
        assert secret not in text


async def test_errors_are_recorded_without_code(runtime: LocalServer, telemetry: Telemetry) -> None:
    async with client(runtime) as agb:
        async with agb.session(PARAMS) as session:
            assert not (await session.code.run("raise ValueError('quoted_code')", "python")).success
        assert not (await agb.get("s-missing")).success
    (run,), (get,) = telemetry.spans("agb.code.run"), telemetry.spans("agb.get")
    assert run.status.status_code is trace.StatusCode.ERROR
    assert attributes(run)["error.type"] == "program_failed"
    assert "quoted_code" not in run.to_json()
    assert attributes(get)["error.type"] == "not_found"
    assert attributes(get)["agb.outcome"] == "refused"
    assert get.events[0].name == "exception"
    assert "s-missing" in str((get.events[0].attributes or {})["exception.message"])


async def test_requests_are_children_and_carry_the_context(telemetry: Telemetry) -> None:
    HTTPXClientInstrumentor().instrument(tracer_provider=telemetry.tracers)
    try:
        with scripted(refuse("Busy", "slow down", 503, {"Retry-After": "0"}), value({"labels": "{}"})) as server:
            async with AsyncAGB("ako-secret", Config(server.endpoint)) as agb:
                assert (await agb.attach("s-1").get_labels()).success
    finally:
        HTTPXClientInstrumentor().uninstrument()
    (labels,) = telemetry.spans("agb.session.get_labels")
    requests = [span for span in telemetry.spans() if span is not labels]
    assert labels.context
    assert [span.parent and span.parent.span_id for span in requests] == [labels.context.span_id] * 2
    assert (attributes(labels)["agb.requests"], attributes(labels)["agb.retries"]) == (2, 1)
    for request, span in zip(server.requests, requests, strict=True):
        assert span.context
        assert request.headers["traceparent"].split("-")[1:3] == [
            f"{span.context.trace_id:032x}",
            f"{span.context.span_id:016x}",
        ]
    (point,) = telemetry.points("agb.client.operation.retries")
    assert point.value == 1


async def test_context_travels_without_instrumentation_of_httpx(telemetry: Telemetry) -> None:
    with scripted(value({"labels": "{}"})) as server:
        async with AsyncAGB("ako-secret", Config(server.endpoint)) as agb:
            await agb.attach("s-1").get_labels()
    (labels,) = telemetry.spans()
    assert labels.context
    assert server.requests[0].headers["traceparent"].split("-")[2] == f"{labels.context.span_id:016x}"


async def test_items_of_a_batch(runtime: LocalServer, telemetry: Telemetry) -> None:
    async def work(session: AsyncSession, number: int) -> int:
        assert (await session.command.execute("true")).success
        if number == 1:
            raise ValueError("text of the program")
        return number

    async with client(runtime) as agb, agb.map(work, [0, 1], params=PARAMS, concurrency=1) as outcomes:
        assert {outcome.index async for outcome in outcomes} == {0, 1}
    items = telemetry.spans("agb.map.item")
    assert sorted(attributes(span)["agb.outcome"] for span in items) == ["failure", "success"]
    assert "text of the program" not in "".join(span.to_json() for span in items)
    for span in telemetry.spans("agb.command.execute"):
        assert span.parent
        assert span.parent.span_id in {item.context.span_id for item in items if item.context}


async def test_stream_is_one_span_and_its_body_the_programs_own(runtime: LocalServer, telemetry: Telemetry) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        async with session.code.stream("print('x'); 1 / 0", "python") as events:
            await session.get_labels()
            await events.collect()
        await session.code.run("1", "python", stream_beta=True)
    (stream,) = telemetry.spans("agb.code.stream")
    assert (attributes(stream)["agb.outcome"], attributes(stream)["agb.language"]) == ("program_failed", "python")
    assert len(telemetry.spans("agb.session.get_labels")) == 1
    assert len(telemetry.spans("agb.code.run")) == 1


async def test_parts_of_an_operation_in_other_tasks_are_counted(runtime: LocalServer, telemetry: Telemetry) -> None:
    async with client(runtime) as agb, agb.session(PARAMS) as session:
        for name in "abc":
            (await session.file.write(f"/tmp/{name}", name)).raise_for_error()
        assert (await session.file.read_batch(["/tmp/a", "/tmp/b", "/tmp/c"])).success
    (batch,) = telemetry.spans("agb.file.read_batch")
    assert attributes(batch)["agb.requests"] >= 3
    assert not telemetry.spans("agb.file.read")


async def test_metrics(runtime: LocalServer, telemetry: Telemetry) -> None:
    async with client(runtime) as agb:
        refs = [(await agb.create(PARAMS)).raise_for_error().session.ref for _ in range(2)]
        (point,) = telemetry.points("agb.client.sessions")
        assert point.value == 2
        await gather([agb.attach(ref).delete for ref in refs])
        (point,) = telemetry.points("agb.client.sessions")
        assert point.value == 0
    durations = {
        dict(point.attributes)["agb.operation"]: point for point in telemetry.points("agb.client.operation.duration")
    }
    assert durations["create"].count == durations["session.delete"].count == 2
    assert durations["create"].sum > 0


def test_without_instrumentation_nothing_is_replaced() -> None:
    before = AsyncSession.get_link
    AGBInstrumentor().instrument(tracer_provider=TracerProvider())
    assert AsyncSession.get_link is not before
    AGBInstrumentor().uninstrument()
    assert AsyncSession.get_link is before
