"""Whatever ends the launcher, and whenever, no process and no bound port is left."""

import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.servers.launch.starts import ROOT, alive_in, make_start

N_KILLS = 50
LEFT_S = 60.0
"""How long after the launcher's death its servers may take to be gone, on a busy machine."""


@contextmanager
def launcher(folder: Path, **behaviour: object) -> Generator["subprocess.Popen[bytes]"]:
    """A launcher of two fake servers in a process of its own; what it tells goes to a file."""
    folder.mkdir(exist_ok=True)
    starts = [make_start(folder, name, **behaviour) for name in ("a", "b")]
    (folder / "starts").write_bytes(msgspec.json.encode(starts))
    command = (sys.executable, "-m", "tests.servers.launch.program", folder / "starts", folder)
    with (
        (folder / "told").open("wb") as told,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=told
        ) as process,
    ):
        yield process


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + LEFT_S
    while (left := alive_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def ports_named_in(folder: Path) -> set[int]:
    logs = "".join(path.read_text() for path in (folder / "logs").glob("*.log"))
    return {int(port) for port in re.findall(r"'port': (\d+)", logs)}


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait_until_free(ports: set[int]) -> None:
    """Other launchers, those beside this one, may have been given one of them since."""
    deadline = time.monotonic() + LEFT_S
    while (left := [port for port in ports if not is_free(port)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_launcher_and_servers(tmp_path: Path, number: signal.Signals) -> None:
    with launcher(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(number)
        process.wait(timeout=LEFT_S)
        assert alive_in(tmp_path) == []


def test_a_killed_launcher_leaves_nothing(tmp_path: Path) -> None:
    with launcher(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert len(alive_in(tmp_path)) >= 8
        process.kill()
        process.wait()
        wait_until_gone(tmp_path)


def test_servers_that_ignore_sigterm_do_not_outlive_a_killed_launcher(tmp_path: Path) -> None:
    with launcher(tmp_path, ignores_term=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.kill()
        process.wait()
        wait_until_gone(tmp_path)


def _kill_during_start(folder: Path, after_s: float) -> None:
    with launcher(folder, start_s=0.5) as process:
        time.sleep(after_s)
        process.kill()
        process.wait()
    wait_until_gone(folder)
    wait_until_free(ports_named_in(folder))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_at_random_moments_of_the_start_leave_nothing(tmp_path: Path) -> None:
    moments = random.Random(11)  # noqa: S311 - moments, not secrets
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                _kill_during_start,
                (tmp_path / str(number) for number in range(N_KILLS)),
                (moments.uniform(0.1, 3.0) for _ in range(N_KILLS)),
            )
        )
