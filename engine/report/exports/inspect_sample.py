"""One sample of an Inspect log: an investigation with its messages, scores and usage. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from engine.compare.catalogue import MEASURES
from engine.compare.measures import Measures
from engine.report.exports.conversation import TOOL, Said, conversation
from engine.report.stream import Recorded
from engine.transcript import StopReason, Transcript, Usage

_LIMITS = {
    StopReason.TURN_LIMIT: "message",
    StopReason.TOKEN_LIMIT: "token",
    StopReason.TIME_LIMIT: "time",
    StopReason.CONTEXT_FULL: "context",
}
Fields = dict[str, object]
_FIRST_S = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_LAST_S = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
"""First and last second, from the epoch, that have a date."""


def sample_of(recorded: Recorded, usage: Usage, identity: Fields) -> Fields:
    """Return the sample of one investigation; `usage`: tokens of all its turns."""
    transcript, case = recorded.transcript, recorded.transcript.investigation
    return {
        **identity,
        "input": _opening(transcript),
        "target": "",
        "messages": list(_messages(transcript, case.model)),
        "output": _output(transcript, case.model, usage),
        "scores": {key: {"value": value} for key, value in _figures(recorded.measures)},
        "metadata": _metadata(recorded),
        "model_usage": {case.model: usage_fields(usage)},
        "turn_count": len(transcript.turns),
        **_times(transcript),
        **_end(recorded),
    }


def _times(transcript: Transcript) -> Fields:
    fields: Fields = {"started_at": timestamp(transcript.started)}
    if transcript.ended:
        fields["completed_at"] = timestamp(transcript.ended)
        fields["total_time"] = max(0.0, transcript.ended - transcript.started)
    return fields


def _end(recorded: Recorded) -> Fields:
    reason = recorded.transcript.stop_reason
    if reason and reason.is_infrastructure:
        return {"error": error_fields(f"{reason}: {recorded.transcript.detail}")}
    limit = _LIMITS.get(reason) if reason else None
    return {"limit": {"type": limit, "limit": 0}} if limit else {}


def _messages(transcript: Transcript, model: str) -> Iterator[Fields]:
    for number, said in enumerate(conversation(transcript)):
        yield _message(said, model, f"m{number}")
        for use in said.uses:
            error = use.execution.error
            yield {
                "id": f"m{number}_{use.id}",
                "role": "tool",
                "function": TOOL,
                "tool_call_id": use.id,
                "content": use.execution.output,
                "error": error and {"type": "unknown", "message": f"{error.kind}: {error.message}"},
                "metadata": {"duration_s": use.execution.duration_s},
            }


def _message(said: Said, model: str, name: str) -> Fields:
    fields: Fields = {"id": name, "role": said.role, "content": said.text}
    if said.turn is None:
        return fields | {"source": "input"}
    fields |= {"source": "generate", "model": model}
    fields["metadata"] = {
        "turn": said.turn.index,
        "experiment": said.turn.experiment,
        "seed": said.turn.seed,
        "action": said.turn.action,
    }
    if said.uses:
        fields["tool_calls"] = [
            {
                "id": use.id,
                "function": TOOL,
                "arguments": {"code": use.execution.code},
                "type": "function",
            }
            for use in said.uses
        ]
    return fields


def _opening(transcript: Transcript) -> str:
    prompts = (each.content for each in transcript.messages if each.role == "user")
    return next(prompts, "")


def _output(transcript: Transcript, model: str, usage: Usage) -> Fields:
    if not transcript.turns:
        return {"model": model, "choices": []}
    last = transcript.turns[-1].completion
    reason = {"stop": "stop", "length": "max_tokens"}.get(last.finish_reason, "unknown")
    message = {"role": "assistant", "content": last.text, "source": "generate", "model": model}
    return {
        "model": model,
        "choices": [{"message": message, "stop_reason": reason}],
        "usage": usage_fields(usage),
        "time": last.received - last.sent,
    }


def _metadata(recorded: Recorded) -> Fields:
    case, measures = recorded.transcript.investigation, recorded.measures
    return {
        "investigation": case.id,
        "phase": case.phase,
        "replicate": case.replicate,
        "seed": case.seed,
        "stop_reason": measures.stop_reason,
        "experiments": dict(recorded.transcript.experiments),
        "is_pure": measures.is_pure,
        "execution_error_kinds": measures.execution_error_kinds,
        "claims": msgspec.to_builtins(measures.claims),
    }


def _figures(measures: Measures) -> Iterator[tuple[str, float]]:
    """Yield the measures that this investigation has a value of."""
    for each in MEASURES:
        above, below = (amount(measures) for amount in each.ratio)
        if below:
            yield each.name, above / below


def usage_fields(usage: Usage) -> Fields:
    """Return tokens as Inspect counts them."""
    return {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "input_tokens_cache_read": usage.cached_tokens,
    }


def error_fields(message: str) -> Fields:
    """Return an error of a sample or a log."""
    return {"message": message, "traceback": "", "traceback_ansi": ""}


def timestamp(seconds: float) -> str:
    """Return seconds since the epoch as Inspect writes a time, the nearest that a calendar has."""
    within = min(max(seconds, _FIRST_S), _LAST_S)
    return datetime.fromtimestamp(within, UTC).isoformat(timespec="milliseconds")
