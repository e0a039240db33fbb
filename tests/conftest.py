"""What holds for every test: no network, no keys, and no process left behind."""

import contextlib
import ipaddress
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import cast

import psutil
import pytest
from hypothesis import HealthCheck, settings

from tests.processes import children

_OUTSIDE = re.compile(r"(?i)^(.*_)?(api_key|token|proxy|base_url)$|^AGI_")
_NETWORK_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.getaddrinfo"})
_LEAVE_S = 20.0

_attempts: list[str] = []

# How long an example takes says how busy the machine is.
settings.register_profile(
    "unhurried", settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
)
settings.load_profile("unhurried")


def _is_local(host: object) -> bool:
    """Whether `host` is this machine; paths of Unix sockets and abstract names are."""
    if host in {None, "", b"", "localhost", b"localhost"}:
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _host_of(event: str, arguments: tuple[object, ...]) -> object:
    if event == "socket.getaddrinfo":
        return arguments[0]
    address = arguments[1]  # of a Unix socket: a path
    return cast("tuple[object, ...]", address)[0] if isinstance(address, tuple) else None


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: sees every connection of this process, whichever library makes it."""
    if event not in _NETWORK_EVENTS:
        return
    host = _host_of(event, arguments)
    if not _is_local(host):
        _attempts.append(f"{event} to {host!r}")
        message = f"tests reach this machine only, not {host!r}"
        raise PermissionError(message)


def pytest_configure() -> None:
    sys.addaudithook(_refuse_network)
    if threading.current_thread() is threading.main_thread():
        # Started in the background of a shell, this process and all its children would ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_outside_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Take proxies, keys and settings of the machine out of the environment, servers' included.

    What runs took is remembered apart from what the user's own runs took.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        for name in [name for name in os.environ if _OUTSIDE.match(name)]:
            patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def refused_hosts() -> Iterator[list[str]]:
    """Fail a test that tried to leave this machine, even where a library swallowed the refusal."""
    _attempts.clear()
    yield _attempts
    assert not _attempts, f"reached for the network: {_attempts}"


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {process.status()}: {' '.join(process.cmdline())[:200]}"
    except psutil.NoSuchProcess:
        return f"{process.pid} ended"


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


@pytest.fixture(autouse=True)
def no_process_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test whose children outlive it; servers that a wider fixture started earlier may."""
    before = children()
    yield
    deadline = time.monotonic() + _LEAVE_S
    while (left := children() - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    said = [_describe(process) for process in left]
    for process in left:
        _kill(process)
    assert not left, f"{request.node.name} left {said}"
