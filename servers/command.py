"""A planned server -> argv and environment. Pure, golden-tested.

No --quantization for weights that are quantised already: vLLM reads the method from the checkpoint
and picks the kernel (serving-gpu.md fact 5). The API key goes by the environment, never by argv,
which every user of the machine can read. Loopback only: /metrics and the sleep endpoints answer
without a key (section 4).
"""

import re
from collections.abc import Container, Mapping, Sequence

from servers.fit.values import LaunchPlan, ServerPlan
from servers.hardware import GIB
from servers.model import Method

VLLM = ("vllm",)
LLAMA = ("python", "-m", "servers.embedded.serve")
HOST = "127.0.0.1"
FIRST_PORT = 8001
"""Port in a printed plan; the launcher takes free ones."""

_SHUTDOWN_S = 5
"""Time that requests in flight get to end after SIGTERM."""
_NOT_INHERITED = ("VLLM_PORT",)
"""vLLM's internal port, which must not be set (serving-gpu.md section 4)."""
_SECRET = re.compile(
    r"SECRET|PASSW|PASSPHRASE|CREDENTIAL|COOKIE|BEARER|WEBHOOK|CONNECTION_STRING"
    r"|(KEYS?|TOKENS?|CREDS?|(?<!BY)(?<!COM)PASS|(?<=[A-Z_])(?<!OLD)PWD)(?![A-Z])"
    r"|(?<![A-Z])(PAT|AUTH|JWT|DSN)(?![A-Z])"
    r"|(?<![A-Z])(DATABASE|DB|REDIS|MONGO(DB)?|POSTGRES(QL)?|MYSQL|AMQP|BROKER)_?UR[IL]",
    re.IGNORECASE,
)
"""Names of variables that hold secrets; not PATH, PWD or TOKENIZERS_PARALLELISM."""
_NO_SECRET = re.compile(r"(.*_)?(MAX|MIN|NUM)_(\w+_)?TOKENS|HF_HUB_DISABLE_\w+", re.IGNORECASE)
"""Names that only look so."""
_WITH_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/@\s]*:[^/@\s]+@", re.IGNORECASE)
"""Values that are addresses with a password in them."""
_PROXY = re.compile(r"(.*_)?PROXY", re.IGNORECASE)
FOR_THE_HUB = ("HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN")
"""The secrets that a server is let have: gated weights are fetched with them."""


def argv(
    server: ServerPlan, *, port: int | None = None, program: Sequence[str] = VLLM
) -> tuple[str, ...]:
    """Command line that starts `server`; `program` is how vLLM is called on this machine.

    Without a port the address is left out, for a launcher that chooses it. A llama.cpp server is a
    program of our own, and chooses its port itself.
    """
    if server.runtime == "llama.cpp":
        return (*LLAMA, *llama_arguments(server))
    return (*program, "serve", *arguments(server, port=port))


def arguments(server: ServerPlan, *, port: int | None = None) -> tuple[str, ...]:
    """What comes after `vllm serve`: the words that vLLM's own parser gets to see."""
    return (
        server.repo,
        *_identity(server),
        *(("--host", HOST, "--port", str(port)) if port is not None else ()),
        *_limits(server),
        *(_gpu_flags(server) if server.gpus else _cpu_flags()),
    )


def llama_arguments(server: ServerPlan, *, gguf: str | None = None) -> tuple[str, ...]:
    """Words for the embedded server; `gguf` is the file once it is on disk."""
    named = f"{server.repo}/{server.pattern}" if server.pattern else server.repo
    return (
        *("--gguf", gguf or named),
        *("--name", server.model),
        *("--window-tokens", str(server.max_model_len)),
        *("--slots", str(server.max_num_seqs)),
        *("--threads", str(server.n_threads)),
    )


def variables(server: ServerPlan, *, api_key: str | None = None) -> dict[str, str]:
    """Environment variables that the server needs beyond what it inherits."""
    if server.runtime == "llama.cpp":
        return {}
    own = {"VLLM_NO_USAGE_STATS": "1"}
    if api_key:
        own["VLLM_API_KEY"] = api_key
    if server.has_sleep:
        own["VLLM_SERVER_DEV_MODE"] = "1"
    if server.gpus:
        own["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        own["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, server.gpus))
    else:
        own |= _cpu_variables(server)
    return own


def environment(
    server: ServerPlan, *, inherited: Mapping[str, str], api_key: str | None = None
) -> dict[str, str]:
    """Complete environment of the server's process: no secrets but those that it needs."""
    kept = without_secrets(inherited, but=FOR_THE_HUB)
    own = variables(server, api_key=api_key)
    return {name: value for name, value in kept.items() if name not in _NOT_INHERITED} | own


def without_secrets(inherited: Mapping[str, str], *, but: Container[str] = ()) -> dict[str, str]:
    """Return the variables that a server may be given: none that looks secret, `but` these."""
    return {
        name: value
        for name, value in inherited.items()
        if name in but or not _looks_secret(name, value)
    }


def _looks_secret(name: str, value: str) -> bool:
    if _SECRET.search(name) and not _NO_SECRET.fullmatch(name):
        return True
    return bool(_WITH_PASSWORD.match(value)) and not _PROXY.fullmatch(name)


def argv_of(plan: LaunchPlan, *, first_port: int = FIRST_PORT) -> tuple[tuple[str, ...], ...]:
    """Command lines of all servers of a plan, on ports that follow one another."""
    return tuple(argv(one, port=first_port + i) for i, one in enumerate(plan.servers))


def _identity(server: ServerPlan) -> tuple[str, ...]:
    return (
        *("--served-model-name", server.model),
        *("--dtype", server.dtype),
        *("--generation-config", "vllm"),
        "--enable-prompt-tokens-details",
        *("--shutdown-timeout", str(_SHUTDOWN_S)),
    )


def _limits(server: ServerPlan) -> tuple[str, ...]:
    words = [
        *("--max-model-len", str(server.max_model_len)),
        *("--max-num-seqs", str(server.max_num_seqs)),
        *("--max-num-batched-tokens", str(server.max_num_batched_tokens)),
    ]
    if server.is_eager:
        words.append("--enforce-eager")
    if server.capture_sizes:
        words += ["--cudagraph-capture-sizes", *map(str, server.capture_sizes)]
    return tuple(words)


def _gpu_flags(server: ServerPlan) -> tuple[str, ...]:
    words = ["--gpu-memory-utilization", f"{server.gpu_memory_utilization:.3f}"]
    if server.is_kv_pinned:
        words += ["--kv-cache-memory-bytes", str(server.kv_bytes_per_gpu)]
    if server.method is Method.ONLINE_FP8:
        words += ["--quantization", "fp8"]
    if server.has_fp8_kv:
        words += ["--kv-cache-dtype", "fp8"]
    if len(server.gpus) > 1:
        words += ["--tensor-parallel-size", str(len(server.gpus))]
    if server.has_sleep:
        words.append("--enable-sleep-mode")
    return tuple(words)


def _cpu_flags() -> tuple[str, ...]:
    """A chunked prompt with a seed ends vLLM's CPU build. Source: serving-cpu.md section 1."""
    return ("--no-enable-chunked-prefill",)


def _cpu_variables(server: ServerPlan) -> dict[str, str]:
    """Source: serving-cpu.md section 1: two servers with bound threads would share one core."""
    return {
        "VLLM_CPU_KVCACHE_SPACE": str(max(1, server.kv_bytes // GIB)),
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(server.n_threads),
    }
