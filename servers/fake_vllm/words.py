"""vLLM's command line, as far as the launcher uses it. An unknown flag is refused as vLLM does."""

import argparse
from collections.abc import Sequence
from pathlib import Path

VERSION = "0.32.0+fake"
_KV_BYTES = 9 << 28
_VALUES = (
    "--dtype",
    "--generation-config",
    "--shutdown-timeout",
    "--max-num-seqs",
    "--max-num-batched-tokens",
    "--gpu-memory-utilization",
    "--quantization",
    "--kv-cache-dtype",
    "--tensor-parallel-size",
    "--tokenizer",
    "--load-format",
    "--seed",
)
_SWITCHES = (
    "--enable-prompt-tokens-details",
    "--enforce-eager",
    "--enable-sleep-mode",
    "--no-enable-chunked-prefill",
)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line; exits with code 2 if vLLM would."""
    parser = argparse.ArgumentParser(prog="vllm")
    parser.add_argument("-v", "--version", action="version", version=VERSION)
    parser.add_argument("--behaviour", type=Path, help="JSON file: what the fake is told to do")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_serve(commands.add_parser("serve"))
    return parser.parse_args(argv)


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("model")
    serve.add_argument("--served-model-name")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--max-model-len", type=int, default=32768)
    serve.add_argument("--kv-cache-memory-bytes", type=int, default=_KV_BYTES)
    serve.add_argument("--cudagraph-capture-sizes", nargs="+", type=int)
    for flag in _VALUES:
        serve.add_argument(flag)
    for flag in _SWITCHES:
        serve.add_argument(flag, action="store_true")
