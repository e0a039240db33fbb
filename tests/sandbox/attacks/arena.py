"""Carries out all attacks on one ground and prints how each ended, as JSON.

Run as a program, `python arena.py GROUND FOLDER`, because grounds change the user, the capabilities
and the system-call filter of the whole process, and none of that can be taken back.
"""

import asyncio
import json
import os
import platform
import socket
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import numpy as np

from engine.errors import CapabilityError
from engine.sandbox import Limits, Tier
from engine.sandbox.host import ProcessSandbox, open_sandbox
from engine.transcript import Execution
from tests.sandbox.attacks import (
    arrays,
    calls,
    channel,
    files,
    held,
    limits,
    machine_code,
    network,
    processes,
    questions,
)
from tests.sandbox.attacks.case import PRELUDE, Case
from tests.sandbox.attacks.grounds import GROUNDS, Ground

CASES: tuple[Case, ...] = (
    *files.CASES,
    *held.CASES,
    *network.CASES,
    *processes.CASES,
    *calls.CASES,
    *machine_code.CASES,
    *channel.CASES,
    *limits.CASES,
    *questions.CASES,
    *arrays.CASES,
)
MODULES = {"probe": "def ask(method, **arguments):\n    return _ask(method, arguments)\n"}
PATIENT = Limits(wall_s=120.0, memory_bytes=1 << 29, output_chars=5_000)
HASTY = Limits(wall_s=1.0, memory_bytes=1 << 29, output_chars=5_000)
_N_AT_ONCE = 6
_TRACES = ("/tmp/sandbox-escape", "/dev/shm/sandbox-escape")


class Result(msgspec.Struct, frozen=True):
    """How one attack ended."""

    output: str
    error: str
    message: str
    after: str
    """Output of the block after it."""
    after_error: str
    kept: str
    """What the variable set before is now."""


class Report(msgspec.Struct, frozen=True):
    """How all attacks on one ground ended."""

    tier: Tier
    walls: tuple[str, ...]
    results: dict[str, Result]
    heard: list[str]
    """What reached the listening sockets of the host."""
    sibling: str
    """What a workspace that sat beside says at the end."""
    made: list[str]
    """Files that should not be there."""
    is_secret_whole: bool


async def answer(method: str, arguments: Mapping[str, object]) -> object:
    """A host that knows five methods; `hidden` is one that the condition does not grant."""
    match method:
        case "echo":
            return dict(arguments)
        case "big":
            return "x" * (1 << 20)
        case "huge":
            return "x" * (20 << 20)
        case "array":
            return np.arange(1_000.0)
        case "fail":
            raise CapabilityError(str(arguments["kind"]), "asked for")
        case _:
            raise CapabilityError("AttributeError", f"no method {method!r}")


def cases_on(ground: Ground) -> list[Case]:
    """Return the attacks that make sense on `ground` and on this processor."""
    return [
        case
        for case in CASES
        if case.machine in {"", platform.machine()}
        and (ground.is_for_the_rest if not case.is_about_walls else ground.has_walls)
    ]


async def _carry_out(sandbox: ProcessSandbox, case: Case, names: Mapping[str, str]) -> Result:
    text = case.code
    for name, value in names.items():
        text = text.replace(f"@{name}@", value)
    async with sandbox.open(modules=MODULES, answer=answer) as workspace:
        before = await workspace.execute(PRELUDE)
        assert before.error is None, before
        attack = await workspace.execute(text)
        kept = await workspace.execute("print(kept)")
        after = await workspace.execute("print(6 * 7)")
    return Result(
        attack.output,
        _kind(attack),
        "" if attack.error is None else attack.error.message,
        after.output,
        _kind(after),
        kept.output.strip(),
    )


def _kind(execution: Execution) -> str:
    return "" if execution.error is None else execution.error.kind


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, heard: list[str]) -> None:
        self._heard = heard

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._heard.append(f"UDP {data!r} from {addr!r}")


@asynccontextmanager
async def _listening(heard: list[str]) -> AsyncGenerator[dict[str, str]]:
    """Listen on TCP, UDP and an abstract socket."""
    loop = asyncio.get_running_loop()

    def on_connection(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(f"TCP or abstract: {writer.get_extra_info('peername')!r}")
        writer.close()

    abstract = f"arena-{os.getpid()}"
    tcp = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    unix = await asyncio.start_unix_server(on_connection, f"\0{abstract}")
    udp, _ = await loop.create_datagram_endpoint(
        lambda: _Ear(heard), ("127.0.0.1", 0), family=socket.AF_INET
    )
    try:
        yield {
            "TCP": str(tcp.sockets[0].getsockname()[1]),
            "UDP": str(udp.get_extra_info("sockname")[1]),
            "ABSTRACT": abstract,
        }
    finally:
        tcp.close()
        unix.close()
        udp.close()


async def _all(
    patient: ProcessSandbox, hasty: ProcessSandbox, ground: Ground, names: Mapping[str, str]
) -> dict[str, Result]:
    results: dict[str, Result] = {}
    pending = iter(cases_on(ground))

    async def work() -> None:
        for case in pending:
            sandbox = hasty if case.is_brief else patient
            results[case.name] = await _carry_out(sandbox, case, names)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_N_AT_ONCE):
            tasks.create_task(work())
    return results


async def _report(ground: Ground, folder: Path) -> Report:
    secret = folder / "secret.txt"
    secret.write_text("the secret")
    secret.chmod(0o644)
    heard: list[str] = []
    async with _listening(heard) as names, _sandbox(PATIENT, ground) as patient:
        async with patient.open(modules=MODULES, answer=answer) as sibling:
            pid = await sibling.execute("import os\nx = 'intact'\nprint(os.getpid())")
            names |= {
                "SECRET": str(secret),
                "HOST": str(os.getpid()),
                "SIBLING": pid.output.strip(),
            }
            async with _sandbox(HASTY, ground) as hasty:
                results = await _all(patient, hasty, ground, names)
            told = await sibling.execute("print(x)")
        return Report(
            patient.tier,
            patient.walls,
            results,
            heard,
            told.output.strip(),
            [name for name in _TRACES if Path(name).exists()],
            is_secret_whole=secret.read_text() == "the secret",
        )


def _sandbox(limits: Limits, ground: Ground) -> AbstractAsyncContextManager[ProcessSandbox]:
    return open_sandbox(
        limits, minimum=Tier.CONTAINED_ONLY, without=ground.without, n_cores=_N_AT_ONCE
    )


def main() -> None:
    """Stand on the ground, carry out all attacks, print the report."""
    ground = GROUNDS[sys.argv[1]]
    ground.stand()
    report = asyncio.run(_report(ground, Path(sys.argv[2])))
    sys.stdout.write(json.dumps(msgspec.to_builtins(report)))


if __name__ == "__main__":
    main()
