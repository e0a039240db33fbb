"""What model code can find out about the machine: nothing by any object that it can reach."""

import json
import platform
import sys
import sysconfig
from pathlib import Path

import pytest

from engine.sandbox.workspace import ProcessWorkspace

pytestmark = pytest.mark.asyncio(loop_scope="module")

_COMMON = {"/usr", "/usr/local", "/"}
_SEARCH = """
import ctypes, gc, json, sys, sysconfig, types
sysconfig.get_config_vars()
# Written backwards, so that this block does not find itself.
words = [word[::-1] for word in json.loads('@WORDS@')]

def inside(one):
    if isinstance(one, types.CodeType):
        return [one.co_filename, one.co_consts, one.co_names]
    if isinstance(one, types.ModuleType):
        return [vars(one)]
    return gc.get_referents(one)

seen, own = set(), {id(words), *map(id, words)}
pending = [sys.modules, sys._getframe(), *gc.get_objects()]
while pending:
    one = pending.pop()
    if id(one) in seen or id(one) in own:
        continue
    seen.add(id(one))
    if isinstance(one, (str, bytes)):
        text = one if isinstance(one, str) else one.decode("latin-1")
        if any(word in text for word in words):
            print("FOUND", text[:200])
    else:
        pending.extend(inside(one))
print(len(seen) > 100_000)
"""


def _folders() -> set[str]:
    """Where this machine keeps the project, this Python and the user's things."""
    folders = {Path(__file__).parents[2], Path.home(), sys.prefix, sys.base_prefix}
    folders |= {Path(sys.executable).parent, Path(sysconfig.get_path("purelib"))}
    return set(map(str, folders)) - _COMMON


async def test_no_object_in_reach_names_a_folder_of_this_machine(
    workspace: ProcessWorkspace,
) -> None:
    backwards = json.dumps([folder[::-1] for folder in sorted(_folders())])
    execution = await workspace.execute(_SEARCH.replace("@WORDS@", backwards))
    assert execution.error is None
    assert execution.output == "True\n"


async def test_what_python_tells_of_itself_is_public(workspace: ProcessWorkspace) -> None:
    execution = await workspace.execute(
        "import ctypes, platform, sys, sysconfig\nlibc = ctypes.CDLL(None)\n"
        "print(sys.prefix, sysconfig.get_path('stdlib'), platform.architecture()[0])\n"
        "print(ctypes.c_char_p.in_dll(libc, 'program_invocation_name').value)"
    )
    assert execution.error is None
    assert execution.output.splitlines()[1] == "b'python'"
    assert not any(folder in execution.output for folder in _folders())


_WHERE_THE_STACK_BEGAN = """
import ctypes
address = ctypes.c_void_p.in_dll(ctypes.CDLL(None), '__libc_stack_end').value
n_words = ctypes.c_long.from_address(address).value
words = [ctypes.c_char_p.from_address(address + 8 * (n + 1)).value for n in range(n_words)]
getauxval = ctypes.CDLL(None).getauxval
getauxval.restype = ctypes.c_char_p
print(n_words > 3, words, getauxval(31))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library, another symbol")
async def test_what_the_program_was_started_with_is_gone_from_the_stack(
    workspace: ProcessWorkspace,
) -> None:
    execution = await workspace.execute(_WHERE_THE_STACK_BEGAN)
    assert execution.output == "True [b'python'" + ", b''" * 8 + "] b''\n"
