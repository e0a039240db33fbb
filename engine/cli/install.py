"""`install`: put a model server into a virtual environment of its own."""

from typing import Annotated, Literal

from cyclopts import Parameter

from engine.cli.console import emit, emit_json, say
from engine.settings import read_settings

Wanted = Literal["auto", "cu13", "cu12", "cpu"]


def install(
    what: Literal["vllm"],
    *,
    build: Wanted = "auto",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Install a model server into a virtual environment of its own.

    Does nothing when it is installed already. Can be interrupted and repeated.

    Parameters
    ----------
    what
        The server: vllm.
    build
        cu13 needs an NVIDIA driver of 580 or newer, cu12 one of 525 or newer, cpu none; auto
        takes what the driver here can run.
    as_json
        Print the program and its version as JSON.
    """
    from servers.hardware import detect
    from servers.install import directory_of, read_stamp
    from servers.install import install as install_server
    from servers.install.builds import BUILDS, choose_build

    chosen = choose_build(detect()) if build == "auto" else BUILDS[build]
    directory = directory_of(chosen, read_settings().cache_dir)
    program = install_server(chosen, directory, tell=say)
    stamp = read_stamp(directory)
    if as_json:
        emit_json({"program": str(program), "what": what, "installation": stamp})
    else:
        emit(str(program))
