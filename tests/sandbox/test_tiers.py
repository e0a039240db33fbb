"""What a machine has is found by effect, told honestly, and refused when it is too little."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import pytest

from engine.errors import NotReadyError
from engine.sandbox import Tier, forkserver
from engine.sandbox.doctor import Diagnosis, probe
from engine.sandbox.host import open_sandbox
from engine.sandbox.walls import Wall, remedies, tier_of
from tests.sandbox.workshop import LIMITS, answer

_EVERY_WALL = tuple(str(wall) for wall in Wall)
_REFUSED = """
import os, socket, threading
def told(act):
    try:
        act()
        print("done")
    except Exception as error:
        print(type(error).__name__, error)
told(lambda: open("/etc/passwd"))
told(lambda: open("/tmp/x", "w"))
told(lambda: os.listdir("/"))
told(lambda: os.mkdir("/tmp/x"))
told(lambda: os.remove("/tmp/x"))
told(lambda: socket.socket())
told(lambda: os.fork())
told(lambda: os.kill(1, 9))
told(lambda: threading.Thread(target=print).start())
told(lambda: __import__("subprocess").run(["true"]))
"""


@pytest.mark.parametrize(
    ("walls", "tier"),
    [
        ((), Tier.CONTAINED_ONLY),
        (("landlock", "chroot", "uid", "namespaces"), Tier.CONTAINED_ONLY),
        (("seccomp",), Tier.SEALED),
        (("seccomp", "landlock"), Tier.SEALED),
        (("seccomp", "namespaces"), Tier.SEALED_NS),
    ],
)
def test_the_tier_follows_from_the_walls(walls: tuple[str, ...], tier: Tier) -> None:
    assert tier_of(walls) is tier


def test_a_missing_wall_is_explained() -> None:
    text = remedies({"seccomp": "libseccomp.so.2 not found"})
    assert "libseccomp.so.2 not found" in text
    assert "apt-get install libseccomp2" in text


@pytest.mark.parametrize("wall", _EVERY_WALL)
async def test_a_wall_that_is_knocked_out_is_told(wall: str) -> None:
    diagnosis = await probe((wall,))
    assert wall not in diagnosis.walls
    assert wall in diagnosis.missing
    assert diagnosis.tier is tier_of(diagnosis.walls)
    assert (diagnosis.succeeded == ()) == (diagnosis.tier is not Tier.CONTAINED_ONLY)


async def test_there_are_no_namespaces_where_the_host_could_not_signal_into_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forkserver, "BOOT", f"import os\ndel os.pidfd_open\n{forkserver.BOOT}")
    diagnosis = await probe()
    assert Wall.NAMESPACES not in diagnosis.walls
    assert "nobody outside could signal" in diagnosis.missing[Wall.NAMESPACES]


_WITHOUT_CAP_KILL = """
import asyncio, ctypes, sys, msgspec
from engine.sandbox.doctor import probe
libc = ctypes.CDLL(None)
libc.prctl(24, 5, 0, 0, 0)
header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert libc.capget(header, sets) == 0
sets[0] &= ~(1 << 5)
sets[1] &= ~(1 << 5)
assert libc.capset(header, sets) == 0
sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(probe())))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have workers of other users")
async def test_workers_have_no_user_of_their_own_where_the_host_could_not_signal_it() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _WITHOUT_CAP_KILL,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    told, _ = await program.communicate()
    diagnosis = msgspec.json.decode(told, type=Diagnosis)
    assert Wall.UID not in diagnosis.walls
    assert diagnosis.missing[Wall.UID] == "processes of other users cannot be signalled"
    assert diagnosis.succeeded == ()


async def test_less_than_the_minimum_is_refused_with_a_remedy() -> None:
    with pytest.raises(NotReadyError, match=r"'contained-only'.*'sealed'.*libseccomp2"):
        async with open_sandbox(LIMITS, minimum=Tier.SEALED, without=("seccomp",)):
            pass


async def test_model_code_reads_the_same_refusals_on_every_tier() -> None:
    told: set[str] = set()
    for without in ((), ("namespaces",), _EVERY_WALL):
        async with (
            open_sandbox(LIMITS, minimum=Tier.CONTAINED_ONLY, without=without) as sandbox,
            sandbox.open(modules={}, answer=answer) as workspace,
        ):
            told.add((await workspace.execute(_REFUSED)).output)
    assert len(told) == 1
    assert "done" not in told.pop()
