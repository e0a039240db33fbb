"""A launcher as a process of its own, to be interrupted and killed: `program.py FILE FOLDER`.

FILE holds the starts as JSON; logs and records go below FOLDER. Prints what the launcher tells to
stderr, and the endpoints as one line of JSON to stdout; ends at the end of its input.
"""

import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from servers.launch.values import Patience, Progress, ServerStart
from servers.launcher import launch


async def main(starts_file: Path, folder: Path) -> None:
    starts = msgspec.json.decode(starts_file.read_bytes(), type=tuple[ServerStart, ...])
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    async with launch(
        starts,
        log_dir=folder / "logs",
        state_dir=folder / "state",
        tell=tell,
        patience=Patience(start_s=600),
    ) as endpoints:
        sys.stdout.write(msgspec.json.encode(endpoints).decode() + "\n")
        sys.stdout.flush()
        await _end_of_input()


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


def tell(step: Progress) -> None:
    sys.stderr.write(f"{step.model} {step.state} {step.elapsed_s:.1f} {step.detail}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
