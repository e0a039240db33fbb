"""Exports of a run: what other programs read of it, and what must not be in it."""

# Programs of the extra export-check are read by their types only where they are installed.
# pyright: reportMissingImports=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import json
import re
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.branch import Happening
from engine.events import AnyEvent, Fork, InvestigationStarted, RunEnded, RunStarted
from engine.fold import transcripts
from engine.journal import read_events
from engine.manifest import Design, read_manifest, write_manifest
from engine.purity import Secrets
from engine.report.exports.chat import write_chat
from engine.report.exports.inspect_log import write_inspect
from engine.report.exports.material import Material, material_of
from engine.report.exports.otel import write_otel
from engine.report.exports.parquet import write_parquet
from engine.report.exports.sts import write_sts
from engine.report.exports.writing import write_lines
from engine.report.purity import write_secrets
from engine.report.redaction import Redaction
from engine.report.stream import redacted
from engine.settings import child_environment
from engine.transcript import Call, ExecutionError, Investigation, StopReason
from tests.report.making import Said, make_run, plausible

KEY = "sk-live-0123456789abcdefghij"
PLACE = "/home/alice/secret-project/config.json"
WRITERS: dict[str, Callable[[Material, Path], list[Path]]] = {
    "inspect": write_inspect,
    "sts": write_sts,
    "chat": write_chat,
    "otel": write_otel,
    "parquet": write_parquet,
}
FILES = {"chat": "chat.jsonl", "otel": "otel.jsonl"}


def talk(case: Investigation) -> list[Said]:
    return [
        Said(reply="I have 24 layers.\n\n```python\nprint(24)\n```", code="print(24)"),
        Said(
            output=f"{PLACE}: {KEY} and correct-horse",
            error=ExecutionError("OSError", f"no {PLACE}"),
        ),
        Said(reply=f"I am done, {case.model}.", code=None),
    ]


def ends(case: Investigation) -> StopReason | None:
    return StopReason.SERVER_LOST if case.replicate == 1 else StopReason.COMPLETED


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "run"
    return make_run(folder, talk, phases=("comparison", "1a"), replicates=2, ends=ends)


def exported(run: Path, name: str, out: Path, models: tuple[str, ...] = ()) -> list[Path]:
    if name == "parquet":
        needed("pyarrow", extra="export")
    return WRITERS[name](material_of(run, models, ["correct-horse"]), out / FILES.get(name, name))


def needed(module: str, *, extra: str) -> Any:  # noqa: ANN401 - a module has no type of its own
    """Return a module of an `extra`; where it is absent the test is left out, but for CI."""
    if child_environment().get("CI") == "true" and find_spec(module.partition(".")[0]) is None:
        pytest.fail(f"CI lacks {module}, of the extra {extra}: scripts/test --all installs it")
    return pytest.importorskip(module, reason=f"extra {extra}: scripts/test --all")


def text_of(path: Path) -> str:
    """What a file says: the columns of a table are packed in it."""
    if path.suffix == ".parquet":
        return str(needed("pyarrow.parquet", extra="export").read_table(path).to_pylist())
    return path.read_text(encoding="utf-8")


def lines(path: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("name", WRITERS)
def test_no_secret_and_no_local_path_leaves_in_any_format(
    run: Path, tmp_path: Path, name: str
) -> None:
    text = "\n".join(map(text_of, exported(run, name, tmp_path)))
    assert "24 layers" in text
    for private in (KEY, "correct-horse", "alice", "secret-project", str(run.parent)):
        assert private not in text


@pytest.mark.parametrize("name", ["chat", "otel"])
def test_nothing_half_written_is_left_when_an_export_fails(
    run: Path, tmp_path: Path, name: str
) -> None:
    journal = (run / "events.jsonl").read_bytes()
    broken = tmp_path / "broken"
    broken.mkdir()
    for each in ("manifest.json",):
        (broken / each).write_bytes((run / each).read_bytes())
    cut = journal.splitlines(keepends=True)
    (broken / "events.jsonl").write_bytes(b"".join([*cut[:-3], b'{"event":"unheard"}\n', cut[-1]]))
    with pytest.raises(Exception, match=r"events\.jsonl"):
        exported(broken, name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_of_a_file_whose_writing_fails_nothing_is_left(tmp_path: Path) -> None:
    def values() -> Iterator[int]:
        yield 1
        raise KeyError

    with pytest.raises(KeyError):
        write_lines(tmp_path / "file", values())
    assert not list(tmp_path.iterdir())


def test_chat_lines_are_what_fine_tuning_reads(run: Path, tmp_path: Path) -> None:
    (path,) = exported(run, "chat", tmp_path)
    found = list(lines(path))
    assert len(found) == 8
    for line in found:
        assert set(line) == {"messages"}
        roles = [message["role"] for message in line["messages"]]
        assert roles[:3] == ["system", "user", "assistant"]
        assert roles[-1] == "assistant"
        assert all(set(message) == {"role", "content"} for message in line["messages"])
        assert all(isinstance(message["content"], str) for message in line["messages"])


def test_only_one_arm_is_exported_if_it_is_named(run: Path, tmp_path: Path) -> None:
    (path,) = exported(run, "chat", tmp_path, ("large",))
    said = path.read_text(encoding="utf-8")
    assert len(said.splitlines()) == 4
    assert "done, large" in said
    assert "done, small" not in said


def test_a_session_trace_has_a_header_and_links_outputs_to_their_blocks(
    run: Path, tmp_path: Path
) -> None:
    paths = exported(run, "sts", tmp_path)
    assert len(paths) == 8
    header, *messages = lines(paths[0])
    assert header["type"] == "session"
    assert {"harness", "id", "name"} <= set(header)
    said = [message["message"] for message in messages]
    calls = [call for each in said for call in each.get("toolCalls", ())]
    answers = [each["toolCallId"] for each in said if each["role"] == "tool"]
    assert [call["id"] for call in calls] == answers
    assert json.loads(calls[0]["function"]["arguments"]) == {"code": "print(24)"}


def test_spans_are_nested_in_time_and_in_their_investigation(run: Path, tmp_path: Path) -> None:
    (path,) = exported(run, "otel", tmp_path)
    found = list(lines(path))
    assert len(found) == 8
    for line in found:
        spans = line["resourceSpans"][0]["scopeSpans"][0]["spans"]
        (root,) = [span for span in spans if "parentSpanId" not in span]
        assert root["name"].startswith("invoke_agent")
        assert {span["traceId"] for span in spans} == {root["traceId"]}
        assert all(re.fullmatch("[0-9a-f]{32}", span["traceId"]) for span in spans)
        assert len({span["spanId"] for span in spans}) == len(spans)
        for span in spans:
            began, ended = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
            assert int(root["startTimeUnixNano"]) <= began <= ended


def test_the_spans_are_otlp_as_the_protocol_defines_it(run: Path, tmp_path: Path) -> None:
    needed("opentelemetry.proto", extra="export-check")
    from google.protobuf import json_format
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    (path,) = exported(run, "otel", tmp_path)
    found = list(lines(path))
    assert len(found) == 8
    for line in found:
        traces: Any = TracesData()
        json_format.ParseDict(line, traces)
        spans = traces.resource_spans[0].scope_spans[0].spans
        kinds = [span.name.partition(" ")[0] for span in spans]
        assert kinds[0] == "invoke_agent"
        assert kinds.count("chat") == 3
        assert kinds.count("execute_tool") == 2


def test_inspect_reads_its_logs_whole_and_by_their_heads(run: Path, tmp_path: Path) -> None:
    needed("inspect_ai", extra="export-check")
    from inspect_ai.log import list_eval_logs, read_eval_log

    paths = exported(run, "inspect", tmp_path)
    assert len(list_eval_logs(str(paths[0].parent))) == len(paths) == 4
    for path in paths:
        log, head = read_eval_log(str(path)), read_eval_log(str(path), header_only=True)
        assert log.samples is not None
        assert head.results is not None
        assert (head.status, head.results.completed_samples) == ("error", 1)
        assert {sample.epoch for sample in log.samples} == {1, 2}
        sample = next(each for each in log.samples if each.error is None)
        assert [message.role for message in sample.messages][:4] == [
            "system",
            "user",
            "assistant",
            "tool",
        ]
        assert sample.scores is not None
        assert sample.scores["turns"].value == 3


def test_inspect_logs_have_all_that_the_reader_wants_before_the_samples(
    run: Path, tmp_path: Path
) -> None:
    paths = exported(run, "inspect", tmp_path)
    assert len(paths) == 4
    for path in paths:
        log = json.loads(path.read_text(encoding="utf-8"))
        assert list(log)[-1] == "samples"
        assert {"version", "status", "eval", "plan", "results", "stats"} <= set(log)
        assert len(log["samples"]) == log["results"]["total_samples"] == 2


def logs_of(run: Path, out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in exported(run, "inspect", out)]


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    return make_run(
        tmp_path / "unfinished", lambda case: talk(case)[:2], replicates=1, ends=lambda _: None
    )


@pytest.fixture
def running(unfinished: Path) -> Path:
    """A run whose last event says nothing about its end."""
    journal = unfinished / "events.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    return unfinished


def test_the_inspect_log_of_a_running_run_is_started(running: Path, tmp_path: Path) -> None:
    for log in logs_of(running, tmp_path):
        assert log["status"] == "started"
        assert log["stats"]["completed_at"] == ""
        assert "error" not in log
        assert "error" not in log["samples"][0]


def test_the_inspect_log_of_a_run_that_ended_before_its_time_is_cancelled(
    unfinished: Path, tmp_path: Path
) -> None:
    logs = logs_of(unfinished, tmp_path)
    assert {log["status"] for log in logs} == {"cancelled"}
    assert not [log for log in logs if "error" in log]


def test_an_inspect_log_that_lacks_samples_is_no_success(run: Path, tmp_path: Path) -> None:
    manifest = read_manifest(run)
    shutil.copytree(run, tmp_path / "run")
    write_manifest(tmp_path / "run", manifest.model_copy(update={"replicates": 3}))
    assert {log["status"] for log in logs_of(tmp_path / "run", tmp_path)} == {"cancelled"}


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ([RunEnded(time=100.0, is_interrupted=True)], "cancelled"),
        ([], "started"),
        ([RunEnded(time=100.0)], "success"),
    ],
)
def test_the_inspect_log_of_a_first_stage_that_was_cut_short_is_no_success(
    tmp_path: Path, last: list[RunEnded], status: str
) -> None:
    run = staged(make_run(tmp_path / "run", talk, replicates=2))
    _, *events, _ = read_events(run / "events.jsonl")
    rewrite(run, [RunStarted(time=0.0, investigations=4), *events, *last])
    assert {log["status"] for log in logs_of(run, tmp_path)} == {status}


@pytest.mark.parametrize(
    ("last", "unfinished"),
    [([RunEnded(time=100.0, is_interrupted=True)], "cancelled"), ([], "started")],
)
def test_of_a_second_stage_that_was_cut_short_the_log_of_a_whole_arm_is_a_success(
    tmp_path: Path, last: list[RunEnded], unfinished: str
) -> None:
    run = staged(make_run(tmp_path / "run", talk, replicates=3, ends=ends_but_for_the_last))
    _, *events, _ = read_events(run / "events.jsonl")
    second = next(n for n, event in enumerate(events) if is_of_replicate(event, 2))
    first, later = [RunStarted(time=0.0, investigations=4), *events[:second]], events[second:]
    rewrite(run, [*first, RunStarted(time=50.0, investigations=2), *later, *last])
    assert statuses(run, tmp_path) == {"small": "success", "large": unfinished}


def test_of_a_second_stage_that_was_cut_short_an_arm_that_was_not_begun_is_no_success(
    tmp_path: Path,
) -> None:
    run = staged(make_run(tmp_path / "run", talk, replicates=2))
    *events, _ = read_events(run / "events.jsonl")
    rewrite(run, [*events, RunStarted(time=50.0, investigations=2)])
    assert statuses(run, tmp_path) == {"small": "started", "large": "started"}


def test_scores_of_an_inspect_log_leave_out_what_saw_what_its_condition_hides(
    tmp_path: Path,
) -> None:
    def talk(case: Investigation) -> list[Said]:
        said = Said(error=ExecutionError("KeyError", "'x'"), output="lantern\n")
        return [Said(), said] if case.replicate == 1 else [Said()]

    run = make_run(tmp_path / "run", talk, replicates=2)
    write_secrets(run, Secrets(terms=("lantern",), documents={}))
    for log in logs_of(run, tmp_path):
        scores = {each["name"]: each for each in log["results"]["scores"]}
        assert scores["error_rate"]["scored_samples"] == 1
        assert scores["error_rate"]["metrics"]["mean"]["value"] == 0
        assert (log["status"], log["results"]["completed_samples"]) == ("success", 2)


def staged(run: Path) -> Path:
    """The same run as one whose first stage has two replicates."""
    changes = {"replicates": 2, "design": Design(until_mde=0.1)}
    write_manifest(run, read_manifest(run).model_copy(update=changes))
    return run


def rewrite(run: Path, events: list[AnyEvent]) -> None:
    lines = [msgspec.json.encode(event) + b"\n" for event in events]
    (run / "events.jsonl").write_bytes(b"".join(lines))


def is_of_replicate(event: AnyEvent, replicate: int) -> bool:
    return isinstance(event, InvestigationStarted) and event.replicate == replicate


def ends_but_for_the_last(case: Investigation) -> StopReason | None:
    is_last = (case.model, case.replicate) == ("large", 2)
    return None if is_last else StopReason.COMPLETED


def statuses(run: Path, out: Path) -> dict[str, str]:
    return {log["eval"]["model"]: log["status"] for log in logs_of(run, out)}


def roots(run: Path, out: Path) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The first span of each investigation, and those below it."""
    (path,) = exported(run, "otel", out)
    spans = [line["resourceSpans"][0]["scopeSpans"][0]["spans"] for line in lines(path)]
    return [(root, below) for root, *below in spans]


def test_the_span_of_an_unfinished_investigation_has_no_status(
    unfinished: Path, tmp_path: Path
) -> None:
    for root, _ in roots(unfinished, tmp_path):
        assert root["status"] == {}
        assert "error.type" not in {each["key"] for each in root["attributes"]}


def test_the_span_of_an_unfinished_investigation_lasts_until_its_last_block(
    unfinished: Path, tmp_path: Path
) -> None:
    for root, below in roots(unfinished, tmp_path):
        last = max(int(each["endTimeUnixNano"]) for each in below)
        assert int(root["endTimeUnixNano"]) == last


@pytest.fixture
def fork(run: Path, tmp_path: Path) -> Path:
    """Both replicates, each begun long after what it inherits; the study itself has one."""
    folder = tmp_path / "fork"
    shutil.copytree(run, folder)
    events = list(read_events(run / "events.jsonl"))
    write_manifest(folder, read_manifest(run).model_copy(update={"replicates": 1}))
    forks = [forked(each, events) for each in events if isinstance(each, InvestigationStarted)]
    lines = [msgspec.json.encode(each) + b"\n" for each in forks]
    (folder / "events.jsonl").write_bytes(b"".join(lines))
    return folder


def forked(start: InvestigationStarted, events: list[AnyEvent]) -> InvestigationStarted:
    shared = [each for each in events if isinstance(each, Happening)]
    mine = tuple(each for each in shared if each.investigation == start.investigation)
    inherited = Fork(investigation=start.investigation, run="run", events=mine)
    return msgspec.structs.replace(start, time=50.0, fork=inherited)


def test_the_span_of_a_fork_begins_with_what_it_inherits(fork: Path, tmp_path: Path) -> None:
    found = roots(fork, tmp_path)
    assert found
    for root, below in found:
        first = min(int(each["startTimeUnixNano"]) for each in below)
        assert int(root["startTimeUnixNano"]) == first


def test_an_inspect_log_of_a_fork_has_the_epochs_of_its_samples(fork: Path, tmp_path: Path) -> None:
    for log in logs_of(fork, tmp_path):
        assert {sample["epoch"] for sample in log["samples"]} == {1, 2}
        assert log["eval"]["config"]["epochs"] == 2


def test_tables_are_read_back_by_pandas(run: Path, tmp_path: Path) -> None:
    pandas = needed("pandas", extra="export-check")
    tables = {path.stem: pandas.read_parquet(path) for path in exported(run, "parquet", tmp_path)}
    assert {name: len(table) for name, table in tables.items()} == {
        "runs": 1,
        "investigations": 8,
        "turns": 24,
        "messages": 8 * 7,
        "executions": 16,
        "claims": 8,
    }
    assert tables["investigations"].set_index("investigation")["turns"].eq(3).all()
    assert set(tables["claims"]["status"]) <= {
        "grounded",
        "contradicted",
        "unmeasured",
        "pretended",
    }
    assert json.loads(tables["runs"]["manifest"][0])["run"] == "run"


def test_a_second_export_is_the_same(run: Path, tmp_path: Path) -> None:
    for name in ("inspect", "sts", "chat", "otel"):
        first = exported(run, name, tmp_path / "a")
        second = exported(run, name, tmp_path / "b")
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_run(tmp_path: Path) -> None:
    def peak(replicates: int) -> int:
        run = make_run(tmp_path / f"run{replicates}", plausible(3), replicates=replicates)
        material = material_of(run, (), ())
        tracemalloc.start()
        write_otel(material, tmp_path / "otel.jsonl")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)  # what is made once: patterns, caches
    few, many = peak(10), peak(40)
    assert many < 1.5 * few


def test_redacting_keeps_every_field_of_a_transcript(tmp_path: Path) -> None:
    call = Call(
        method="weights.list_parameters", arguments={"pattern": "*"}, answer=["a", {"b": 1}]
    )
    said = Said(error=ExecutionError("KeyError", "'x'"), calls=(call,))
    made = make_run(tmp_path / "run", lambda _: [said])
    found = transcripts(read_events(made / "events.jsonl"))
    assert found
    assert all(redacted(each, Redaction()) == each for each in found)
