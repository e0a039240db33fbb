"""Real vLLM servers on the CPU, started through a launcher in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.endpoint import Endpoint
from servers.embedded.model import EmbeddedModel, tiny_models
from servers.launch.values import ServerStart
from tests.contracts.vllm.checkpoints import Method, write_quantized

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Served:
    """Servers that a launcher of its own process keeps."""

    launcher: "subprocess.Popen[bytes]"
    endpoints: tuple[Endpoint, ...]
    folder: Path

    @property
    def told(self) -> str:
        return (self.folder / "told").read_text()


@contextmanager
def served(starts: Sequence[ServerStart], folder: Path) -> Generator[Served]:
    """Start servers through a launcher in a process of its own; end it by the end of its input."""
    (folder / "starts.json").write_bytes(msgspec.json.encode(starts))
    command = (sys.executable, "-m", "tests.servers.launch.program", folder / "starts.json", folder)
    with (folder / "told").open("wb") as told:
        launcher = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told
        )
    with launcher:
        assert launcher.stdout is not None
        line = launcher.stdout.readline()
        assert line, (folder / "told").read_text()
        yield Served(launcher, msgspec.json.decode(line, type=tuple[Endpoint, ...]), folder)


def make_start(
    program: Path, name: str, model: EmbeddedModel, *, dtype: str = "float32"
) -> ServerStart:
    """Make a start of the real program on this model."""
    window = str(model.window_tokens)
    return ServerStart(
        model=name,
        argv=(
            *(str(program), "serve", str(model.directory), "--served-model-name", name),
            *("--dtype", dtype, "--enforce-eager", "--no-enable-chunked-prefill"),
            *("--max-model-len", window, "--max-num-batched-tokens", window),
            *("--max-num-seqs", "32", "--generation-config", "vllm"),
        ),
        environment=cpu_environment(),
        checkpoint=str(model.directory),
        max_model_len=model.window_tokens,
    )


def make_quantized_start(program: Path, folder: Path, method: Method) -> ServerStart:
    """Make a start on the smaller model that ships, quantised by this method."""
    model = tiny_models()[0]
    checkpoint = write_quantized(folder / method, model.directory, method)
    quantized = msgspec.structs.replace(model, directory=checkpoint)
    return make_start(program, method, quantized, dtype="bfloat16")


def has_avx512() -> bool:
    """Tell whether vLLM computes 4-bit weights on this processor."""
    return " avx512f " in Path("/proc/cpuinfo").read_text(encoding="ascii")


def cpu_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VLLM_")}  # noqa: TID251 - what a child inherits
    return kept | {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
