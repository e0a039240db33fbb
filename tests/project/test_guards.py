"""The guards of conftest.py hold."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

_CONFTEST = Path(__file__).parents[1] / "conftest.py"


def _connect() -> None:
    with socket.socket() as sock:
        sock.connect(("192.0.2.1", 80))


def _connect_ipv6() -> None:
    with socket.socket(socket.AF_INET6) as sock:
        sock.connect(("2001:db8::1", 80))


def _send_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"", ("192.0.2.1", 53))


def _resolve() -> None:
    socket.getaddrinfo("example.org", 80)


def _connect_by_asyncio() -> None:
    asyncio.run(_open_connection())


async def _open_connection() -> None:
    await asyncio.open_connection("192.0.2.1", 80)


@pytest.mark.parametrize(
    "reach_out", [_connect, _connect_ipv6, _send_datagram, _resolve, _connect_by_asyncio]
)
def test_a_way_out_is_refused(reach_out: Callable[[], None], refused_hosts: list[str]) -> None:
    with pytest.raises(PermissionError, match="this machine only"):
        reach_out()
    assert refused_hosts
    refused_hosts.clear()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_is_allowed(host: str) -> None:
    family, *_, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    with socket.create_server(address[:2], family=family) as server:
        socket.create_connection(server.getsockname()[:2]).close()


def _run_pytest(
    directory: Path, test: str, *, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    (directory / "conftest.py").write_text(_CONFTEST.read_text())
    (directory / "test_inner.py").write_text(test)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(directory)]
    return subprocess.run(
        argv, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_a_refusal_that_a_library_swallows_fails_the_test(tmp_path: Path) -> None:
    ended = _run_pytest(
        tmp_path,
        "import socket\n"
        "def test_inner():\n"
        "    try:\n"
        "        socket.getaddrinfo('example.org', 80)\n"
        "    except OSError:\n"
        "        pass\n",
    )
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED
    assert "reached for the network" in ended.stdout


@pytest.mark.slow
def test_a_process_left_behind_fails_the_test_and_is_killed(tmp_path: Path) -> None:
    ended = _run_pytest(
        tmp_path,
        "import pathlib, subprocess, sys\n"
        "def test_inner():\n"
        "    argv = [sys.executable, '-c', 'input()']\n"
        "    child = subprocess.Popen(argv, stdin=subprocess.PIPE)\n"
        "    globals()['child'] = child\n"
        "    pathlib.Path('pid').write_text(str(child.pid))\n",
    )
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED
    assert "test_inner left" in ended.stdout
    assert not _is_running(int((tmp_path / "pid").read_text()))


@pytest.mark.slow
def test_keys_and_proxies_are_out_of_sight(tmp_path: Path) -> None:
    ended = _run_pytest(
        tmp_path,
        "import os\n"
        "def test_inner():\n"
        "    assert 'OPENAI_API_KEY' not in os.environ\n"
        "    assert 'https_proxy' not in os.environ\n"
        "    assert os.environ['HOME']\n",
        environment={"OPENAI_API_KEY": "made-up", "https_proxy": "http://192.0.2.1", "HOME": "/"},
    )
    assert ended.returncode == pytest.ExitCode.OK, ended.stdout
