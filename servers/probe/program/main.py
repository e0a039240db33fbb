"""Answers questions from standard input until that ends: its end is the end of the parent.

A thread of its own listens, so that the process ends with its parent whatever it computes just
then. Replies go to standard output; whatever libraries print goes to standard error.
"""

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

from servers.probe.program.answering import Answering
from servers.probe.wire import Numbered, receive_question, send_reply

_MOST_AT_ONCE = 16
"""Questions that are looked at together."""

Waiting = SimpleQueue[Numbered]


def main(arguments: Sequence[str]) -> None:
    """Load the weights and answer until the parent is gone."""
    options = _parse(arguments)
    replies = _take_stdout()
    waiting: Waiting = SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, waiting), daemon=True).start()
    from servers.probe.program.loading import load

    network = load(options.checkpoint, dtype=options.dtype, n_threads=options.threads)
    answering = Answering(network, max_tokens=options.max_tokens, max_bytes=options.max_bytes)
    while True:
        for reply, arrays in answering.answer(_together(waiting)):
            send_reply(replies, reply, arrays)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="probe", description="Answer questions about a model.")
    parser.add_argument("--checkpoint", type=Path, required=True, help="directory of the weights")
    parser.add_argument("--dtype", required=True, help="torch's name of the type of the weights")
    parser.add_argument("--threads", type=int, required=True, help="threads that compute")
    parser.add_argument("--max-tokens", type=int, required=True, help="most tokens of a text")
    parser.add_argument("--max-bytes", type=int, required=True, help="arrays of one reply")
    return parser.parse_args(arguments)


def _take_stdout() -> BinaryIO:
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return replies


def _listen(stream: BinaryIO, waiting: Waiting) -> None:
    while (question := receive_question(stream)) is not None:
        waiting.put(question)
    os._exit(0)


def _together(waiting: Waiting) -> list[Numbered]:
    """Wait for a question, and take with it those that wait already."""
    found = [waiting.get()]
    while not waiting.empty() and len(found) < _MOST_AT_ONCE:
        found.append(waiting.get())
    return found
