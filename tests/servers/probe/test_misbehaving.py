"""What a probe that says too much costs those who ask it. Needs no torch."""

import sys
from pathlib import Path

import pytest

from engine.errors import InvestigationError
from engine.introspection.probe import Question
from servers.probe.client import Start, TorchProbe

TOKENS = Question(operation="tokens", text="Hello")
_BEGIN = """
import sys
sys.path.append(sys.argv[1])
from servers.probe.wire import Reply, receive_question, send_reply
"""
TWICE = """
while (asked := receive_question(sys.stdin.buffer)) is not None:
    for plain in ("first", "again"):
        send_reply(sys.stdout.buffer, Reply(id=asked.id, plain=plain), {})
"""
HUGE = """
import msgspec
asked = receive_question(sys.stdin.buffer)
head = {"reply": {"id": asked.id}, "arrays": [{"name": "x", "shape": [1 << 50]}]}
body = msgspec.msgpack.encode(head)
sys.stdout.buffer.write(len(body).to_bytes(8, "little") + body)
sys.stdout.buffer.flush()
sys.stdin.buffer.read()
"""


class Program(Start):
    """A probe's process with another program; `python` holds its code."""

    @property
    def argv(self) -> list[str]:
        return [sys.executable, "-c", _BEGIN + self.python, str(Path(__file__).parents[3])]


def probe_of(code: str, tmp_path: Path) -> TorchProbe:
    start = Program(
        python=code, checkpoint=tmp_path, dtype="float32", n_threads=1, log=tmp_path / "log"
    )
    return TorchProbe(start, answer_s=20.0)


def test_a_second_answer_to_a_question_is_passed_over(tmp_path: Path) -> None:
    with probe_of(TWICE, tmp_path) as probe:
        assert [probe.ask(TOKENS)[0] for _ in range(3)] == ["first"] * 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_reply_that_cannot_be_held_is_the_end_of_its_process(tmp_path: Path) -> None:
    with (
        probe_of(HUGE, tmp_path) as probe,
        pytest.raises(InvestigationError, match="ended while it was asked"),
    ):
        probe.ask(TOKENS)
