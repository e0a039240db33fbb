"""OpenAI's chat JSONL: one line `{"messages": [...]}` per investigation, as fine-tuning reads it.

The messages are those that the model saw and wrote, in plain text: code stands in fences, outputs
in the messages of the user. Investigations in which no reply came are left out.
"""

from collections.abc import Iterable
from pathlib import Path

from engine.report.exports.material import Material
from engine.report.exports.writing import write_lines
from engine.transcript import Message


def write_chat(material: Material, out: Path) -> list[Path]:
    """Write all conversations to the file `out`; return what was written.

    Raises:
        UsageError: it cannot be written.
    """
    said = (each.transcript.messages for each in material.recorded())
    return write_lines(out, ({"messages": each} for each in said if _has_reply(each)))


def _has_reply(messages: Iterable[Message]) -> bool:
    return any(message.role == "assistant" for message in messages)
