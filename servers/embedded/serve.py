"""The program in the child: serves one GGUF file over HTTP on loopback until it is told to stop.

Stands alone on purpose (standard library and xllamacpp only): the launcher runs it by its path.
Without a port, the kernel chooses one. Once the model is loaded, one line on stdout reports the
base URL. Everything else goes to stderr, which the launcher points at the log file.

It ends by SIGTERM, whose default action suits a process that has nothing to save, and when its
parent is gone: standard input is a pipe that only the parent holds, and its end of file is the
parent's death, however sudden. On Linux the kernel sends SIGKILL as well, which works even while
the model is being loaded.

Accepted gap: llama.cpp notices that a client is gone only when it streams. A reply that nobody
waits for keeps its slot until it ends, so every request must carry `max_tokens`.
"""

import argparse
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

_PR_SET_PDEATHSIG = 1
_LOG_WARNINGS = 2
_SPARE_HTTP_THREADS = 8
_PROMPT_CACHE_MIB = 128


class _Server(Protocol):
    """What is used of `xllamacpp.Server`, which ships no types."""

    listening_address: str


def main(arguments: Sequence[str]) -> int:
    """Serve until the parent is gone or a signal ends the process."""
    options = _parse(arguments)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if not _dies_with(options.parent):
        return 0
    report = _take_stdout()
    try:
        server = _server(options)
    except RuntimeError as error:
        _write_what_was_logged()
        sys.stderr.write(f"{options.gguf}: {error}\n")
        return 1
    os.write(report, f"{server.listening_address}\n".encode())
    while os.read(sys.stdin.fileno(), 4096):
        pass
    # The server's threads may be at work, but there is nothing to save: do not wait for them.
    os._exit(0)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="serve.py", description="Serve one GGUF file.")
    parser.add_argument("--gguf", required=True, help="file to serve")
    parser.add_argument("--name", required=True, help="what the server calls the model")
    parser.add_argument("--slots", type=int, required=True, help="replies written at once")
    parser.add_argument("--window-tokens", type=int, required=True, help="context of one slot")
    parser.add_argument("--threads", type=int, default=1, help="threads that compute")
    parser.add_argument("--port", type=int, default=0, help="where to answer; 0: a free one")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="process to die with")
    return parser.parse_args(arguments)


def _dies_with(parent: int) -> bool:
    """Tie this process to `parent`; False if that process is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def _take_stdout() -> int:
    """Keep stdout for the report alone; whatever else is printed there goes to stderr."""
    report = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return report


def _server(options: argparse.Namespace) -> _Server:
    """Load the model and return the server, which answers from its own threads."""
    xllamacpp: Any = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = options.gguf
    params.port = options.port
    params.model_alias = {options.name}
    params.n_parallel = options.slots
    params.n_ctx = options.slots * options.window_tokens
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    # A request holds its HTTP thread until it is answered; the spare ones answer /health.
    params.n_threads_http = options.slots + _SPARE_HTTP_THREADS
    # The default, 8 GiB of conversations that lost their slot, is too much for a laptop.
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.cont_batching = True
    params.use_jinja = True
    params.endpoint_metrics = True
    params.verbosity = _LOG_WARNINGS
    params.cors_origins = "http://127.0.0.1"
    params.ui = False
    params.offline = True
    return xllamacpp.Server(params)


def _write_what_was_logged() -> None:
    """Wait until llama.cpp's thread for its log has written all, which ends with this process.

    Nothing in Python does that; the functions are called by their C++ names, where they are there.
    """
    library = ctypes.CDLL(import_module("xllamacpp.xllamacpp").__file__)
    with contextlib.suppress(AttributeError):
        log, flush = library["_Z15common_log_mainv"], library["_Z16common_log_flushP10common_log"]
        log.restype, flush.argtypes, flush.restype = ctypes.c_void_p, (ctypes.c_void_p,), None
        flush(log())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
