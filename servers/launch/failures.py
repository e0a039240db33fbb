"""Known ways in which vLLM fails to start: how the log shows them, and what to do about them.

A failure with a `repair` is repaired once, where that is sound; any other becomes one readable
error. The first that matches counts, so causes stand before their consequences.

Source of the texts: the source of vLLM 0.32 and 0.33 and the issues named in serving-gpu.md.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from servers.launch import repairs
from servers.launch.values import ServerStart

Repair = Callable[[ServerStart, re.Match[str]], ServerStart | None]


class Failure(NamedTuple):
    """One known failure."""

    key: str
    pattern: re.Pattern[str]
    cause: str
    remedy: str
    repair: Repair | None = None
    """Returns the changed start, or None where no change would be sound."""


class Diagnosis(NamedTuple):
    """A known failure found in a log."""

    failure: Failure
    match: re.Match[str]

    def repair(self, start: ServerStart) -> ServerStart | None:
        """Return how to start the server instead; None if nothing sound is known."""
        return self.failure.repair(start, self.match) if self.failure.repair else None


def diagnose(text: str) -> Diagnosis | None:
    """Return the first known failure in a log; None if it shows none."""
    for failure in FAILURES:
        match = failure.pattern.search(text)
        if match is not None:
            return Diagnosis(failure, match)
    return None


def _known(
    key: str, pattern: str, *, cause: str, remedy: str, repair: Repair | None = None
) -> Failure:
    return Failure(key, re.compile(pattern), cause, remedy, repair)


FAILURES: tuple[Failure, ...] = (
    _known(
        "no_program",
        r"keeper: cannot start (?P<program>.+): (?P<why>.+)",
        cause="the vllm program cannot be started",
        remedy="Install it with `python -m engine.run install vllm`, or name one with --vllm PATH.",
    ),
    _known(
        "no_metadata",
        r"PackageNotFoundError: No package metadata was found for vllm",
        cause="this installation of vLLM is a CPU build whose own program cannot find itself",
        remedy="Install one that works with `python -m engine.run install vllm --build cpu`.",
    ),
    _known(
        "flags",
        r"vllm.*: error: (unrecognized arguments:|argument) (?P<which>.+)",
        cause="this version of vLLM does not know a flag that it was given",
        remedy="Use the version that `python -m engine.run install vllm` installs.",
    ),
    _known(
        "driver",
        r"libcudart\.so\.1\d: cannot open shared object|driver on your system is too old"
        r"|CUDA driver version is insufficient|forward compatibility was attempted",
        cause="the NVIDIA driver is older than the CUDA version that this vLLM was built for",
        remedy="Run `python -m engine.run install vllm`, which picks the build by the driver, "
        "or update the driver.",
    ),
    _known(
        "no_device",
        r"Failed to infer device type|No CUDA GPUs are available",
        cause="this vLLM finds no GPU that it could use",
        remedy="See whether nvidia-smi works; without a GPU, install the CPU build with "
        "`python -m engine.run install vllm --build cpu`.",
    ),
    _known(
        "port",
        r"\[Errno 98\]|[Aa]ddress already in use",
        cause="somebody took the port between the choice and the start",
        remedy="Start again.",
        repair=repairs.unchanged,
    ),
    _known(
        "gated",
        r"GatedRepoError|[Cc]annot access gated repo|Access to model \S+ is restricted",
        cause="the weights are gated",
        remedy="Accept the licence on the model's page and put a token into HF_TOKEN.",
    ),
    _known(
        "no_weights",
        r"RepositoryNotFoundError|HFValidationError: Repo id must"
        r"|Can't load the configuration of",
        cause="there are no such weights, neither as a directory nor as a repository",
        remedy="Check the path or the repository id.",
    ),
    _known(
        "offline",
        r"LocalEntryNotFoundError|[Oo]ffline mode is enabled|outgoing traffic has been disabled"
        r"|Temporary failure in name resolution|Max retries exceeded",
        cause="the weights are not on this machine and cannot be downloaded",
        remedy="Connect to a network (HF_HUB_OFFLINE unset), or name a local directory.",
    ),
    _known(
        "disk",
        r"\[Errno 28\]|No space left on device",
        cause="the disk is full",
        remedy="Free some space, or point HF_HOME at a larger disk.",
    ),
    _known(
        "config",
        r"is not a valid JSON file|JSONDecodeError|Unrecognized model in|SafetensorError"
        r"|VllmConfig\n +Value error, (Unterminated|Expecting)",
        cause="a file of the checkpoint is damaged",
        remedy="Download the checkpoint again.",
    ),
    _known(
        "bf16",
        r"Bfloat16 is only supported on GPUs with compute capability",
        cause="this GPU does not compute in bfloat16",
        remedy="Start with --dtype half, or take another model.",
        repair=repairs.use_half,
    ),
    _known(
        "dtype",
        r"(?P<what>\S+) is not supported for quantization method (?P<method>\w+)"
        r"|model type '?\w+'? does not support float16|numerical instability",
        cause="these weights cannot be computed in the number format asked for",
        remedy="Take another precision (--quantization fp16) or another model.",
    ),
    _known(
        "free_memory",
        r"Free memory on device \S* ?\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\)"
        r" on startup is less than",
        cause="other programs hold memory of the GPU",
        remedy="End them (nvidia-smi lists them), or plan again: the plan respects what is taken.",
        repair=repairs.use_less_of_the_card,
    ),
    _known(
        "profiling",
        r"Error in memory profiling",
        cause="another program gave back GPU memory while vLLM measured its own",
        remedy="Start again when nothing else starts or ends on this GPU.",
        repair=repairs.unchanged,
    ),
    _known(
        "model_len",
        r"estimated maximum model length is (?P<tokens>\d+)",
        cause="the KV cache is too small for one request of the planned length",
        remedy="Plan with a shorter context, or with fewer or smaller models.",
        repair=repairs.shorten,
    ),
    _known(
        "native_len",
        r"max_model_len \(\d+\) is greater than the derived max_model_len"
        r" \(max_position_embeddings=(?P<tokens>\d+)",
        cause="the planned context is longer than the model's own",
        remedy="Plan with a shorter context.",
        repair=repairs.shorten,
    ),
    _known(
        "cache_blocks",
        r"No available memory for the cache blocks|larger than the available KV cache memory",
        cause="after the weights no memory was left for the KV cache",
        remedy="Use a coarser precision, a smaller model, or fewer models on this GPU.",
        repair=repairs.run_eagerly,
    ),
    _known(
        "out_of_memory",
        r"torch\.(cuda\.)?OutOfMemoryError|CUDA out of memory",
        cause="the GPU ran out of memory",
        remedy="Use a coarser precision, a smaller model, or fewer models on this GPU.",
        repair=repairs.run_eagerly,
    ),
    _known(
        "head_dim",
        r"Unsupported CPU attention configuration: (?P<what>\S+)",
        cause="the CPU build cannot compute attention of this shape",
        remedy="Take a model with a head dimension of 32, 64, 80, 96, 112, 128 or more.",
    ),
    _known(
        "no_avx512",
        r"object has no attribute 'cpu_gemm_wna16'",
        cause="this processor has no AVX-512, and without it vLLM's CPU build computes no 4-bit "
        "weights (AWQ, GPTQ)",
        remedy="Take --quantization fp16, or weights in GGUF, which llama.cpp serves.",
    ),
)
