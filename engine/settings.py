"""The only reader of environment variables and of configuration files."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from engine.errors import UsageError

CONFIG_FLAG = "--config"
_ENDPOINTS = "endpoints"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment says about how to run."""

    model_name: str | None = None
    """AGI_MODEL_NAME: the model to investigate when no flag names one."""
    quantization: str | None = None
    """AGI_QUANTIZATION: "4bit", "8bit" or "fp16" when no flag says it."""
    cache_dir: Path = Path()
    """Where server installations and measured starts are kept: XDG_CACHE_HOME/phaselab."""
    state_dir: Path = Path()
    """Where what earlier runs took is remembered: XDG_STATE_HOME/phaselab."""
    hub_cache: Path = Path()
    """Where model weights fetched from the hub lie: HF_HUB_CACHE, or HF_HOME/hub."""
    has_colour: bool = True
    """False when NO_COLOR is set."""
    is_notebook: bool = False
    """JPY_PARENT_PID: this is a notebook's kernel, or was started by one."""

    @property
    def gguf_store(self) -> Path:
        """Where GGUF files are downloaded to."""
        return self.cache_dir / "gguf"

    def hub_copy(self, repo: str) -> Path:
        """Return where the hub's cache keeps its copy of the repository `repo`."""
        return self.hub_cache / f"models--{repo.replace('/', '--')}"


def read_settings() -> Settings:
    """Return the settings of this process's environment.

    Raises:
        UsageError: it does not say where this user's files are.
    """
    environment = os.environ
    cache_home = environment.get("XDG_CACHE_HOME") or _home() / ".cache"
    state_home = environment.get("XDG_STATE_HOME") or _home() / ".local" / "state"
    hub_home = environment.get("HF_HOME") or Path(cache_home) / "huggingface"
    return Settings(
        hub_cache=Path(environment.get("HF_HUB_CACHE") or Path(hub_home) / "hub"),
        model_name=environment.get("AGI_MODEL_NAME") or None,
        quantization=environment.get("AGI_QUANTIZATION") or None,
        cache_dir=Path(cache_home) / "phaselab",
        state_dir=Path(state_home) / "phaselab",
        has_colour=not environment.get("NO_COLOR"),
        is_notebook=bool(environment.get("JPY_PARENT_PID")),
    )


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise UsageError(
            "HOME is not set, and this user has no home directory. Set HOME, or XDG_CACHE_HOME and "
            "XDG_STATE_HOME."
        ) from error


def read_key(variable: str) -> str | None:
    """Return the API key in `variable`, or None. The value is never stored or shown."""
    return os.environ.get(variable) or None


def offer_key(variable: str, value: str) -> None:
    """Let `read_key` find `value`, and programs that are started from here, for this process."""
    os.environ[variable] = value


def child_environment() -> Mapping[str, str]:
    """Return this process's environment, for a server that is started from it."""
    return dict(os.environ)


def read_config(arguments: Sequence[str]) -> tuple[Path, dict[str, Any]] | None:
    """Return the file that `--config FILE` names in `arguments`, and its values for flags.

    Raises:
        UsageError: the file is missing, unreadable or not TOML.
    """
    path = _config_path(arguments)
    if path is None:
        return None
    return path, {name: value for name, value in _read(path).items() if name != _ENDPOINTS}


def read_endpoint_tables(path: Path) -> dict[str, Any]:
    """Return what a configuration file says about endpoints, by the name of the arm.

    Raises:
        UsageError: the file is missing, unreadable or not TOML, or says no tables.
    """
    tables = _read(path).get(_ENDPOINTS, {})
    if not isinstance(tables, dict):
        raise UsageError(f"--config {path}: {_ENDPOINTS} is no table; write [{_ENDPOINTS}.NAME].")
    return cast("dict[str, Any]", tables)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path}: cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path}: not valid TOML: {error}") from error


def _config_path(arguments: Sequence[str]) -> Path | None:
    for position, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag == CONFIG_FLAG:
            following = arguments[position + 1 : position + 2]
            return Path(value) if equals else Path(following[0]) if following else None
    return None
