"""The experiments of `scripts/experiments`: one phase each, the model named by the environment."""

from collections.abc import Sequence

from engine.cli.app import run
from engine.cli.console import say
from engine.cli.exit_codes import DONE, USAGE
from engine.cli.planning import find_precision
from engine.errors import UsageError
from engine.settings import read_settings

DEFAULT_MODEL = "Qwen/Qwen2.5-3B-Instruct"


def run_phase(key: str, arguments: Sequence[str]) -> int:
    """Run the phase `key` with the model that AGI_MODEL_NAME names; return the exit code.

    `arguments`: further flags of `python -m engine.run run`.
    """
    if fault := _fault():
        return fault
    if any(argument.partition("=")[0] == "--model" for argument in arguments):
        return run(["run", key, *arguments])
    named = read_settings().model_name
    model = named or DEFAULT_MODEL
    why = "AGI_MODEL_NAME says so" if named else "the default; set AGI_MODEL_NAME for another"
    say(f"model: {model} ({why}).")
    return run(["run", key, "--model", model, *arguments])


def run_comparison(arguments: Sequence[str]) -> int:
    """Compare the two models of the main job, whatever AGI_MODEL_NAME says.

    `arguments`: further flags of `python -m engine.run compare`.
    """
    if fault := _fault():
        return fault
    return run(["compare", *arguments])


def _fault() -> int:
    """Return the exit code if AGI_QUANTIZATION is none, and say so: here nobody passes it over."""
    try:
        find_precision(None, read_settings())
    except UsageError as error:
        say(f"error: {error}")
        return USAGE
    return DONE
