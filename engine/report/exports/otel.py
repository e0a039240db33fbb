"""OpenTelemetry spans in the OTLP JSON encoding, with the gen_ai names: one line per investigation.

invoke_agent (the investigation) > chat (a completion) and execute_tool (a code block). What a chat
span shows as input is what was said since the reply before it, not the whole window again: a trace
grows with the conversation and not with its square. Ids follow from names, so that a second export
of a run is the same trace.

Source: OTLP file exporter and JSON Protobuf encoding (opentelemetry.io, specification 1.5x): ids in
hexadecimal, 64-bit numbers as strings, enumerations as numbers. Semantic conventions for generative
AI, status Development: agent spans, inference spans, execute_tool.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from engine.manifest import Arm
from engine.report.exports.conversation import TOOL, Said, ToolUse, conversation
from engine.report.exports.material import Material
from engine.report.exports.writing import encoded, write_lines
from engine.report.stream import Recorded
from engine.transcript import Completion, Transcript, Turn

_INTERNAL, _CLIENT = 1, 3
_OK, _ERROR = 1, 2
_CONVENTIONS = "https://opentelemetry.io/schemas/1.41.0"
Fields = dict[str, object]
Attributes = Mapping[str, object]


def write_otel(material: Material, out: Path) -> list[Path]:
    """Write one line of spans per investigation to the file `out`; return what was written.

    Raises:
        UsageError: it cannot be written.
    """
    resources = (_resource(material, _spans(material, each)) for each in material.recorded())
    return write_lines(out, ({"resourceSpans": [each]} for each in resources))


def _resource(material: Material, spans: Iterator[Fields]) -> Fields:
    manifest = material.manifest
    about: Fields = {
        "service.name": "phaselab",
        "service.version": manifest.versions.get("phaselab", ""),
        "service.instance.id": manifest.run,
    }
    scope: Fields = {"name": "phaselab", "version": manifest.versions.get("phaselab", "")}
    return {
        "resource": {"attributes": _attributes(about)},
        "scopeSpans": [{"scope": scope, "spans": list(spans), "schemaUrl": _CONVENTIONS}],
    }


def _spans(material: Material, recorded: Recorded) -> Iterator[Fields]:
    transcript, case = recorded.transcript, recorded.transcript.investigation
    seed = f"{material.manifest.run}/{case.id}"
    trace = _Trace(seed, material.arm(case.model), case.phase)
    yield trace.agent(recorded, *_extent(transcript))
    heard: list[Said] = []
    for said in conversation(transcript):
        if said.turn is None:
            heard.append(said)
            continue
        yield trace.chat(said, said.turn, heard)
        yield from trace.tools(said, said.turn)
        heard = []


def _extent(transcript: Transcript) -> tuple[float, float]:
    """Return when an investigation begins and ends: a fork with the first turn that it inherits."""
    begins = [transcript.started, *(turn.completion.sent for turn in transcript.turns)]
    ends = [transcript.started, *map(_ended, transcript.turns)]
    return min(begins), transcript.ended or max(ends)


def _ended(turn: Turn) -> float:
    return turn.completion.received + sum(each.duration_s for each in turn.executions)


class _Trace:
    def __init__(self, seed: str, arm: Arm, phase: str) -> None:
        self._seed, self._arm, self._phase = seed, arm, phase
        self._trace_id = _digest(seed, 16)
        self._root = _digest(f"{seed}#agent", 8)
        self._common = {"gen_ai.conversation.id": seed, "gen_ai.agent.name": arm.model}

    def agent(self, recorded: Recorded, began: float, ended: float) -> Fields:
        transcript, case = recorded.transcript, recorded.transcript.investigation
        attributes: Fields = {
            **self._common,
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": self._arm.served_model,
            "gen_ai.usage.input_tokens": recorded.measures.prompt_tokens,
            "gen_ai.usage.output_tokens": recorded.measures.completion_tokens,
            "phaselab.phase": case.phase,
            "phaselab.replicate": case.replicate,
            "phaselab.seed": case.seed,
            "phaselab.stop_reason": transcript.stop_reason or "unfinished",
        }
        status = _status(transcript)
        if status.get("code") == _ERROR:
            attributes["error.type"] = transcript.stop_reason
        return {
            "traceId": self._trace_id,
            "spanId": self._root,
            "name": f"invoke_agent {self._arm.model}",
            "kind": _INTERNAL,
            **_interval(began, ended),
            "attributes": _attributes(attributes),
            "status": status,
        }

    def chat(self, said: Said, turn: Turn, heard: list[Said]) -> Fields:
        completion, (host, port) = turn.completion, _place(self._arm.url)
        attributes: Fields = {
            **self._common,
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": self._arm.served_model,
            "gen_ai.request.seed": turn.seed,
            "gen_ai.response.finish_reasons": [completion.finish_reason],
            "gen_ai.usage.input_tokens": completion.usage.prompt_tokens,
            "gen_ai.usage.output_tokens": completion.usage.completion_tokens,
            "gen_ai.usage.cache_read.input_tokens": completion.usage.cached_tokens,
            "server.address": host,
            "server.port": port,
            "gen_ai.input.messages": _heard(heard),
            "gen_ai.output.messages": _spoken(said, completion),
            "phaselab.turn": turn.index,
            "phaselab.experiment": turn.experiment,
            "phaselab.action": turn.action,
        }
        return self._child(
            f"chat {self._arm.served_model}",
            f"turn{turn.index}",
            _CLIENT,
            (completion.sent, completion.received),
            attributes,
        )

    def tools(self, said: Said, turn: Turn) -> Iterator[Fields]:
        began = turn.completion.received
        for use in said.uses:
            ended = began + use.execution.duration_s
            yield self._tool(use, began, ended)
            began = ended

    def _tool(self, use: ToolUse, began: float, ended: float) -> Fields:
        execution = use.execution
        attributes: Fields = {
            **self._common,
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": TOOL,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": use.id,
            "gen_ai.tool.call.arguments": encoded({"code": execution.code}).decode(),
            "gen_ai.tool.call.result": execution.output,
            "phaselab.introspection_calls": [call.method for call in execution.calls],
        }
        if execution.error:
            attributes["error.type"] = execution.error.kind
        span = self._child(f"execute_tool {TOOL}", use.id, _INTERNAL, (began, ended), attributes)
        if execution.error:
            span["status"] = {"code": _ERROR, "message": execution.error.message}
        return span

    def _child(
        self, name: str, key: str, kind: int, when: tuple[float, float], attributes: Attributes
    ) -> Fields:
        return {
            "traceId": self._trace_id,
            "spanId": _digest(f"{self._seed}#{key}", 8),
            "parentSpanId": self._root,
            "name": name,
            "kind": kind,
            **_interval(*when),
            "attributes": _attributes(attributes),
        }


def _place(url: str) -> tuple[str, int]:
    """Return host and port of a URL; nothing of one whose host is redacted."""
    try:
        parts = urlsplit(url)
        place = parts.hostname or "", parts.port or 0
    except ValueError:
        return "", 0
    return place


def _status(transcript: Transcript) -> Fields:
    """Return how an investigation went; nothing, which is unset, while it has not ended."""
    reason = transcript.stop_reason
    if reason is None:
        return {}
    is_lost = reason.is_infrastructure
    return {"code": _ERROR, "message": transcript.detail} if is_lost else {"code": _OK}


def _heard(heard: list[Said]) -> str:
    messages = [
        {"role": said.role, "parts": [{"type": "text", "content": said.text}]} for said in heard
    ]
    return encoded(messages).decode()


def _spoken(said: Said, completion: Completion) -> str:
    parts: list[Fields] = [{"type": "text", "content": said.text}]
    for use in said.uses:
        code: Fields = {"code": use.execution.code}
        parts.append({"type": "tool_call", "id": use.id, "name": TOOL, "arguments": code})
    reason = completion.finish_reason
    message = {"role": "assistant", "parts": parts, "finish_reason": reason}
    return encoded([message]).decode()


def _attributes(values: Attributes) -> list[Fields]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: object) -> Fields:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            texts = map(str, cast("list[object]", value))
            return {"arrayValue": {"values": [{"stringValue": text} for text in texts]}}
        case _:
            return {"stringValue": str(value)}


def _interval(began: float, ended: float) -> Fields:
    return {
        "startTimeUnixNano": str(round(began * 1e9)),
        "endTimeUnixNano": str(round(max(began, ended) * 1e9)),
    }


def _digest(text: str, n_bytes: int) -> str:
    return hashlib.blake2b(text.encode(), digest_size=n_bytes).hexdigest()
