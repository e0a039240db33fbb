"""OpenAI's chat JSONL: one line `{"messages": [...]}` per investigation, as fine-tuning reads it.

The messages are those that the model saw and wrote, in plain text: code stands in fences, outputs
in the messages of the user. Investigations in which no reply came are left out.
"""

from pathlib import Path

from engine.report.exports.material import Material
from engine.report.exports.writing import whole_file, write_line


def write_chat(material: Material, out: Path) -> list[Path]:
    """Write all conversations to the file `out`; return what was written.

    Raises:
        RunError: it cannot be written.
    """
    with whole_file(out) as file:
        for each in material.recorded():
            messages = each.transcript.messages
            if any(message.role == "assistant" for message in messages):
                write_line(file, {"messages": messages})
    return [out]
