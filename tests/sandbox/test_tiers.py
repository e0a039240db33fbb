"""What a machine has is found by effect, told honestly, and refused when it is too little."""

import pytest

from engine.errors import NotReadyError
from engine.sandbox import Tier
from engine.sandbox.doctor import probe
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
