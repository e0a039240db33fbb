"""The life of a probe's process: lazy, shared, ended with its owner, started again after a loss."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from engine.errors import CapabilityError, InvestigationError
from engine.introspection.probe import Question
from servers.probe.client import TorchProbe
from tests.servers.probe.real import directory_of, probing, start_of

pytestmark = pytest.mark.vllm

HELLO = Question(operation="outputs", text="Hello you", layers=("model.layers.0",))
OWNER = """
import sys
from pathlib import Path
from engine.introspection.probe import Question
from tests.servers.probe.real import probing

with probing("tiny-s", Path(sys.argv[1])) as (_, probe):
    probe.ask(Question(operation="tokens", text="Hello"))
    print("asked", flush=True)
    sys.stdin.read()
"""


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


Processes = Callable[[], list[psutil.Process]]


@pytest.fixture
def processes() -> Processes:
    """Return the probes below this process that began with the test and have not ended."""
    before = set(psutil.Process().children(recursive=True))

    def found() -> list[psutil.Process]:
        children = set(psutil.Process().children(recursive=True)) - before
        return [child for child in children if _is_probe(child)]

    return found


def _is_probe(process: psutil.Process) -> bool:
    try:
        is_alive = process.status() != psutil.STATUS_ZOMBIE
        return is_alive and any("servers.probe.program" in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path, processes: Processes) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "log")],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with owner:
        assert owner.stdout
        assert owner.stdout.readline() == b"asked\n"
        (probe,) = processes()
        owner.send_signal(signal.SIGKILL)
    until(lambda: not _is_probe(probe))


def test_no_process_starts_before_the_first_question(tmp_path: Path, processes: Processes) -> None:
    with probing("tiny-s", tmp_path / "log") as (_, probe):
        assert not processes()
        probe.ask(HELLO)
        assert len(processes()) == 1
    assert not processes()


def test_many_askers_share_one_process_and_get_their_own_answers(
    tmp_path: Path, processes: Processes
) -> None:
    with (
        probing("tiny-s", tmp_path / "log") as (_, probe),
        ThreadPoolExecutor(max_workers=16) as threads,
    ):
        names = [f"model.layers.{n % 3}" for n in range(48)]
        asked = [
            Question(operation="outputs", text=f"Text {n % 4}.", layers=(name,))
            for n, name in enumerate(names)
        ]
        together = list(threads.map(probe.ask, asked))
        assert len(processes()) == 1
        for question, (_, arrays) in zip(asked, together, strict=True):
            _, alone = probe.ask(question)
            assert set(arrays) == set(question.layers)
            assert all((arrays[name] == alone[name]).all() for name in alone)


def test_a_killed_process_is_started_again_for_the_next_question(
    tmp_path: Path, processes: Processes
) -> None:
    with probing("tiny-s", tmp_path / "log") as (_, probe):
        _, before = probe.ask(HELLO)
        processes()[0].kill()
        _, after = probe.ask(HELLO)
        assert (before["model.layers.0"] == after["model.layers.0"]).all()


def test_weights_that_are_not_the_architectures_end_the_investigation(tmp_path: Path) -> None:
    directory = tmp_path / "mixed"
    directory.mkdir()
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (directory / name).symlink_to(directory_of("tiny-s") / name)
    (directory / "config.json").symlink_to(directory_of("tiny-m") / "config.json")
    with TorchProbe(start_of(directory, tmp_path / "log")) as probe:
        for _ in range(3):
            with pytest.raises(InvestigationError, match=r"of the probe|the probe of .*mixed"):
                probe.ask(HELLO)
        with pytest.raises(InvestigationError, match="is not started again"):
            probe.ask(HELLO)
    assert "Error" in (tmp_path / "log").read_text()


def test_a_process_that_does_not_answer_in_time_is_ended(
    tmp_path: Path, processes: Processes
) -> None:
    with probing("tiny-s", tmp_path / "log", answer_s=0.01) as (_, probe):
        with pytest.raises(InvestigationError, match="no answer within"):
            probe.ask(HELLO)
        until(lambda: not processes())


def test_a_question_under_way_fails_when_the_probe_is_closed(
    tmp_path: Path, processes: Processes
) -> None:
    with probing("tiny-s", tmp_path / "log") as (_, probe), ThreadPoolExecutor() as threads:
        asked = threads.submit(probe.ask, HELLO)
        until(lambda: bool(processes()))
        probe.close()
        assert isinstance(asked.exception(60), InvestigationError)
        with pytest.raises(InvestigationError):
            probe.ask(HELLO)


@pytest.mark.parametrize("text", ["word " * 1000, "\N{EM DASH}" * 600])
def test_a_text_that_is_too_long_is_refused_with_its_length(tmp_path: Path, text: str) -> None:
    with probing("tiny-s", tmp_path / "log") as (_, probe):
        with pytest.raises(CapabilityError, match=r"text has \d+ tokens, and must have 1 to 256"):
            probe.ask(Question(operation="gradients", text=text))
        assert len(probe.ask(HELLO)[1]) == 1


def test_it_sees_no_key_and_no_gpu(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    with probing("tiny-s", tmp_path / "log") as (_, probe):
        probe.ask(HELLO)
        environment = processes()[0].environ()
    assert "secret-key" not in str(environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
