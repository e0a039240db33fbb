"""What endpoints are shown to be let in: the values of variables, read when they are needed."""

from collections.abc import Iterable, Mapping
from string import Template

from engine.access import Access
from engine.endpoint import DEFAULT_KEY_VARIABLE, Endpoint
from engine.errors import NotReadyError, UsageError
from engine.manifest import Arm
from engine.settings import read_key


def access_of(endpoint: Endpoint) -> Access:
    """Return key and headers for `endpoint`.

    Raises:
        NotReadyError: a variable that a header names is not set.
        UsageError: a header cannot be sent with what its variable holds.
    """
    values = {name: _value(endpoint, name) for name in _variables(endpoint.headers)}
    headers = {name: Template(text).substitute(values) for name, text in endpoint.headers.items()}
    for name, text in headers.items():
        if not (text.isascii() and text.isprintable()):
            raise UsageError(
                f"endpoint {endpoint.model!r}: header {name} would have a line break or an accent "
                "in it; set its variable again, without quotes or a line break around it."
            )
    return Access(
        key=read_key(endpoint.key_variable), headers=headers, secrets=tuple(values.values())
    )


def check_key(endpoint: Endpoint) -> None:
    """Raise NotReadyError if a variable was named for the key of `endpoint`, and it is not set."""
    variable = endpoint.key_variable
    if variable != DEFAULT_KEY_VARIABLE and read_key(variable) is None:
        raise NotReadyError(
            f"endpoint {endpoint.model!r}: its key is to be in {variable}, which is not set; "
            "set it."
        )


def credentials_of(arms: Iterable[Arm]) -> tuple[str, ...]:
    """Return what the variables that `arms` name hold here, for keys and in headers."""
    named = {name for arm in arms for name in (arm.key_variable, *_variables(arm.headers))}
    return tuple(value for value in map(read_key, sorted(named)) if value)


def _variables(headers: Mapping[str, str]) -> list[str]:
    return [name for text in headers.values() for name in Template(text).get_identifiers()]


def _value(endpoint: Endpoint, variable: str) -> str:
    value = read_key(variable)
    if value is None:
        raise NotReadyError(
            f"endpoint {endpoint.model!r}: a header wants the variable {variable}, which is not "
            "set; set it."
        )
    return value
