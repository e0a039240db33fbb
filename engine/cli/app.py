"""The application: its commands, and what becomes of an error.

Every command lives in a module of its own that is imported only when it is called, so that
`--help` answers at once.
"""

import asyncio
import logging
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.metadata import version
from inspect import signature

from cyclopts import App, CoercionError, CycloptsError, UnusedCliTokensError

from engine.cli.config_file import ConfigFile
from engine.cli.console import drawn, occupy_closed_streams, pass_nothing_on, say, tolerate
from engine.cli.exit_codes import DONE, FAILED, INTERRUPTED, NOT_READY, USAGE
from engine.cli.options import Options
from engine.errors import EngineError, NotReadyError, UsageError
from engine.settings import CONFIG_FLAG, read_config

COMMANDS = {
    "run": ("engine.cli.run:run", "Run phases with one model."),
    "compare": (
        "engine.cli.compare:compare",
        "Run phases with several models at once and compare them.",
    ),
    "resume": ("engine.cli.resume:resume", "Go on with a run that was interrupted or killed."),
    "fork": (
        "engine.cli.fork:fork",
        "Let investigations of a run go on from one point under something changed.",
    ),
    "report": ("engine.cli.report:report", "Show what a run found."),
    "export": ("engine.cli.export:export", "Write a run for other programs to read."),
    "phases": ("engine.cli.phases:app", "List the experimental conditions."),
    "presets": ("engine.cli.presets:presets", "List the models that are known by name."),
    "hardware": ("engine.cli.hardware:hardware", "Show this machine, and the profiles."),
    "plan": ("engine.cli.plan:plan", "Fit models to a GPU, and say where the memory goes."),
    "serve": ("engine.cli.serve:serve", "Keep servers: until Ctrl-C, or in the background."),
    "install": ("engine.cli.install:install", "Install vLLM in a virtual environment of its own."),
    "doctor": (
        "engine.cli.doctor:doctor",
        "Say what the bare command would do here, and whether it is ready.",
    ),
}

_HELP = """Multi-turn investigations by open-weight language models, compared fairly.

Without a command: the main job, the comparison phase with two models at the same time, on the best
that is there: the endpoints given, or two tiny models that ship with the project."""


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line; return the exit code.

    0 done, 1 failed, 2 usage, 3 the machine is not ready, 4 finished in part, 130 interrupted.
    """
    occupy_closed_streams()
    pass_nothing_on()
    tolerate()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        with drawn() as console:
            result = _app(arguments)(list(arguments), console=console, result_action="return_value")
    except CycloptsError as error:
        say(f"error: {_explain(error)}\nTry --help.")
        return USAGE
    except EngineError as error:
        say(f"error: {error}")
        return _exit_code(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    return result if isinstance(result, int) else DONE


def _app(arguments: Sequence[str]) -> App:
    app = App(
        name="python -m engine.run",
        help=_HELP,
        help_format="plaintext",
        version=lambda: version("phaselab"),
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        default_command=main_job,
    )
    for name, (target, line) in COMMANDS.items():
        app.command(target, name=name, help=line)
    if found := read_config(arguments):
        app.config = ConfigFile(*found, app)
    return app


def main_job(*, models: str = "", options: Options | None = None) -> int:
    """Run the comparison phase with two models at once.

    Parameters
    ----------
    models
        A,B: names of the models to compare. Default: all that are there.
    """
    from engine.cli.compare import compare

    return compare(models=models, options=options or Options())


def _explain(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        word = error.unused_tokens[0]
        if error.command_chain:
            return f"{word!r}: `{' '.join(error.command_chain)}` takes {_words_of(error)}."
        near = get_close_matches(word, COMMANDS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"unknown command or argument {word!r}.{hint} Commands: {', '.join(COMMANDS)}."
    text, token = str(error), error.token if isinstance(error, CoercionError) else None
    if token and token.source.startswith(CONFIG_FLAG) and token.source not in text:
        return f"{text} ({token.source})"
    return text


def _words_of(error: CycloptsError) -> str:
    """Return which words beside flags the command takes that an error is about."""
    target = getattr(error, "target", None)  # of no known type
    taken = signature(target).parameters.values() if target else ()
    names = [each.name.upper() for each in taken if each.kind is not each.KEYWORD_ONLY]
    return " and ".join(f"one {name}" for name in names) or "no such word"


def _exit_code(error: EngineError) -> int:
    match error:
        case UsageError():
            return USAGE
        case NotReadyError():
            return NOT_READY
        case _:
            return FAILED
