"""Keys for the hub and for endpoints: from the environment, else from Colab's secrets."""

import threading
from collections.abc import Sequence
from importlib import import_module

from engine.cli.console import say
from engine.settings import offer_key, read_key

NAMES = ("HF_TOKEN", "OPENAI_API_KEY")
_WITHIN_S = 20.0


def read_secrets(names: Sequence[str] = NAMES, *, within_s: float = _WITHIN_S) -> None:
    """Make the secrets of these names known to this kernel, where they are to be had.

    Colab asks for permission in a window that may never be answered: then it goes on without.
    """
    for name in names:
        say(f"{name}: {_found(name, within_s)}")


def _found(name: str, within_s: float) -> str:
    if read_key(name):
        return "from the environment"
    value, trouble = _from_colab(name, within_s)
    if value:
        offer_key(name, value)
        return "from Colab's secrets"
    return f"not there ({trouble}); only gated models and endpoints with a key need it"


def _from_colab(name: str, within_s: float) -> tuple[str | None, str]:
    """Return the secret, or why there is none. A window that waits is left to its thread."""
    found: list[str] = []
    trouble = [f"no answer within {within_s:g} s"]

    def ask() -> None:
        try:
            found.append(import_module("google.colab.userdata").get(name))
        except Exception as error:  # noqa: BLE001 - whatever Colab raises, the notebook goes on
            trouble[0] = type(error).__name__

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(within_s)
    return (found[0] if found else None), trouble[0]
