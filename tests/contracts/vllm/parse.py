"""Runs with vLLM's own Python: reads command lines as JSON, prints what its parser refuses.

A line of the answer is null where the command line is accepted, else what the parser said.
"""

import contextlib
import importlib
import io
import json
import sys
from typing import Protocol


class Parser(Protocol):
    """The part of argparse's parser that is used here."""

    def parse_args(self, args: list[str]) -> object: ...


def main() -> None:
    build = importlib.import_module("vllm.entrypoints.launchers.cli_args").make_arg_parser
    parser = build(importlib.import_module("vllm.utils.argparse_utils").FlexibleArgumentParser())
    for line in sys.stdin:
        sys.stdout.write(json.dumps(refusal(parser, json.loads(line))) + "\n")


def refusal(parser: Parser, words: list[str]) -> str | None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser.parse_args(words)
    except SystemExit:
        return said.getvalue().strip().rpartition("\n")[2]
    return None


if __name__ == "__main__":
    main()
