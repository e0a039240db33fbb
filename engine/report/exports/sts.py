"""Hugging Face's Session Trace Simple Format: a file per investigation for the hub's trace viewer.

Source: Hub documentation, page "Session Traces Format" (2026): a header line of type "session",
then a line of type "message" for each message; `toolCalls` with arguments as a JSON string, results
as messages of role "tool", `timestamp` in milliseconds since the epoch.
"""

from collections.abc import Iterator
from pathlib import Path

from engine.report.exports.conversation import TOOL, Said, conversation
from engine.report.exports.material import Material
from engine.report.exports.writing import encoded, whole_file, write_line
from engine.report.stream import Recorded

HARNESS = "phaselab"
Line = dict[str, object]


def write_sts(material: Material, out: Path) -> list[Path]:
    """Write one file per investigation into the folder `out`; return what was written.

    Raises:
        UsageError: one cannot be written.
    """
    written: list[Path] = []
    for each in material.recorded():
        path = out / f"{each.transcript.investigation.id}.jsonl"
        with whole_file(path) as file:
            for line in lines_of(each, material):
                write_line(file, line)
        written.append(path)
    return written


def lines_of(recorded: Recorded, material: Material) -> Iterator[Line]:
    """Yield the lines of one investigation."""
    case, transcript = recorded.transcript.investigation, recorded.transcript
    yield {
        "type": "session",
        "harness": HARNESS,
        "id": f"{material.manifest.run}/{case.id}",
        "name": f"{case.model}, phase {case.phase}, replicate {case.replicate}",
        "model": case.model,
        "phase": case.phase,
        "replicate": case.replicate,
        "seed": case.seed,
        "stopReason": transcript.stop_reason,
    }
    for said in conversation(transcript):
        yield {"type": "message", "message": _message(said, case.model)}
        for use in said.uses:
            content = use.execution.output
            answer = {"role": "tool", "toolCallId": use.id, "content": content}
            yield {"type": "message", "message": answer}


def _message(said: Said, model: str) -> Line:
    message: Line = {"role": said.role, "content": said.text}
    if said.turn is None:
        return message
    message |= {"model": model, "timestamp": round(said.turn.completion.received * 1000)}
    if said.uses:
        message["toolCalls"] = [
            {
                "id": use.id,
                "function": {
                    "name": TOOL,
                    "arguments": encoded({"code": use.execution.code}).decode(),
                },
            }
            for use in said.uses
        ]
    return message
