"""Flags in a configuration file: those at its top are for every command that knows them.

replicates = 8        # for each command with --replicates
[plan]
replicates = 2        # for `plan`, whatever stands at the top
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import cast

from cyclopts import App, ArgumentCollection
from cyclopts.argument import (
    update_argument_collection,  # pyright: ignore[reportUnknownVariableType] - takes a bare dict
)

from engine.errors import UsageError
from engine.settings import CONFIG_FLAG, Settings, read_settings

_MAIN_JOB = "compare"
"""Whose table the bare command reads: that is the same comparison."""
_READS_TOO = {"doctor": _MAIN_JOB}
"""Commands that look at what another one would do, whose table they read before their own."""
_MEANINGLESS = {"fork": {"seed", "phase", "share-prefix", "until-mde", "noise-floor"}}
"""Flags at the top that mean nothing to a command, which refuses those that are meant for it."""
_OF_ONE_NAME = {"run", "plan", "serve"}
"""Commands that take their models from AGI_MODEL_NAME where no flag names them."""


class ConfigFile:
    """Gives flags the values of a configuration file, where the command line gives none."""

    def __init__(self, path: Path, values: Mapping[str, object], root: App) -> None:
        """Take the `values` of the file at `path`; a command of `root` may have a table there."""
        self._origin, self._root = f"{CONFIG_FLAG} {path}", root
        own = {key for key, value in values.items() if key in root and isinstance(value, dict)}
        self._tables = {key: _named(cast("dict[str, object]", values[key])) for key in own}
        self._shared = _named({key: values[key] for key in values if key not in own})

    def __call__(self, _app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Set what the file says of the flags of one command.

        Raises:
            UsageError: a key is no flag of the command whose table it is in, or of any.
        """
        name = commands[0] if commands else _MAIN_JOB
        own = self._own(_READS_TOO.get(name), arguments) | self._own(name, arguments)
        others = {key for key in self._shared if not _is_flag(key, arguments)}
        if others:
            self._check(others, _all_arguments(self._root))
        others |= _MEANINGLESS.get(name, set())
        shared = {key: self._shared[key] for key in self._shared if key not in others}
        values = _beside_environment(shared | own, name, read_settings())
        update_argument_collection(
            values, self._origin, arguments, root_keys=(), allow_unknown=False
        )

    def _own(self, name: str | None, arguments: ArgumentCollection) -> dict[str, object]:
        """Return what stands in the table of the command `name`."""
        table = self._tables.get(name, {}) if name else {}
        self._check(table, [arguments], f"{name}.")
        return table

    def _check(
        self, keys: Iterable[str], known: Sequence[ArgumentCollection], table: str = ""
    ) -> None:
        for key in keys:
            if not any(_is_flag(key, arguments) for arguments in known):
                near = get_close_matches(key.lower(), _flags(known), n=1)
                hint = f"Did you mean {near[0]!r}?" if near else "--help lists the flags."
                raise UsageError(f"{self._origin}: no flag is called {table + key!r}. {hint}")


def _named(values: Mapping[str, object]) -> dict[str, object]:
    """Return `values` by the names that flags have on the command line."""
    return {key.replace("_", "-"): value for key, value in values.items()}


def _beside_environment(
    values: Mapping[str, object], command: str, settings: Settings
) -> dict[str, object]:
    """Return `values` as they are where a variable of the environment stands before some."""
    kept = dict(values)
    if settings.quantization:
        kept.pop("quantization", None)
    if settings.model_name and command in _OF_ONE_NAME:
        kept |= dict.fromkeys(kept.keys() & {"model", "models"}, settings.model_name)
    return kept


def _flags(known: Sequence[ArgumentCollection]) -> set[str]:
    names = (name for arguments in known for one in arguments for name in one.names)
    return {name[2:] for name in names if name.startswith("--")}


def _is_flag(key: str, arguments: ArgumentCollection) -> bool:
    return any(f"--{key}" in argument.names for argument in arguments)


def _all_arguments(root: App) -> list[ArgumentCollection]:
    commands = (root[name] for name in root if not name.startswith("-"))
    return [app.assemble_argument_collection() for app in (root, *commands)]
