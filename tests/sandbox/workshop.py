"""A sandbox for tests: small limits, a few modules, a host that knows a few methods."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from engine.errors import CapabilityError
from engine.sandbox import Limits
from engine.sandbox.host import ProcessSandbox
from engine.sandbox.workspace import ProcessWorkspace

LIMITS = Limits(wall_s=60.0, output_chars=10_000)
MODULES = {
    "introspection": '"""What can be known."""\n',
    "introspection.weights": '''"""The numbers."""

def statistics(name: str, k: int = 3) -> dict:
    """Return the statistics of one parameter.

    Args:
        name: which.
        k: how many.
    """
    return _ask("weights.statistics", {"name": name, "k": k})
''',
    "introspection.probe": '''"""Asks anything."""

def ask(method, **arguments):
    """Ask the host."""
    return _ask(method, arguments)
''',
}


async def answer(method: str, arguments: Mapping[str, object]) -> object:
    """Echo, refuse by name, or take time."""
    if method == "refuse":
        raise CapabilityError(str(arguments["kind"]), str(arguments["message"]))
    if method == "wait":
        await asyncio.sleep(float(str(arguments["s"])))
    return {"method": method, **arguments}


def opened(
    sandbox: ProcessSandbox, *, seed: int | None = None
) -> AbstractAsyncContextManager[ProcessWorkspace]:
    """Open a workspace with the modules above."""
    return sandbox.open(modules=MODULES, answer=answer, seed=seed)
