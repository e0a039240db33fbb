"""Writes the modules that model code imports: signatures and docstrings of the host's functions.

What help(), dir() and inspect.signature() say in the sandbox is therefore what the host does. The
sources know nothing of what was not granted.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from textwrap import indent

PACKAGE = "introspection"

Functions = Mapping[str, Callable[..., object]]

_OPENING = """

def _explain(function):
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            if error.__traceback__.tb_next is not None:
                raise
            text = f"{error}. See help({__name__.rpartition('.')[2]}.{function.__name__})"
        raise TypeError(text)

    for name in ("__name__", "__qualname__", "__doc__", "__annotations__"):
        setattr(call, name, getattr(function, name))
    call.__wrapped__ = function
    return call


def __dir__():
    return [name for name in globals() if not name.startswith("_")]


def __getattr__(name):
    names = ", ".join(__dir__())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {names}")
"""

_PACKAGE_BODY = """
from {package} import {names}


def __dir__():
    return {listed}


def __getattr__(name):
    raise AttributeError(f"module {{__name__!r}} has no attribute {{name!r}}; it has: {joined}")
"""


def functions_of(source: object) -> dict[str, Callable[..., object]]:
    """Return the public methods of `source` by name, in the order of their definition."""
    return {
        name: getattr(source, name)
        for name, member in vars(type(source)).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }


def first_line(source: object) -> str:
    """Return the first line of the docstring of `source`."""
    return (inspect.getdoc(type(source)) or "").partition("\n")[0]


def package_source(lines: Sequence[tuple[str, str]]) -> str:
    """Return the source of the package: its docstring lists exactly the modules granted."""
    names = [name for name, _ in lines]
    listing = "\n".join(f"    {name}: {line}" for name, line in lines)
    doc = f"What you can find out about yourself.\n\nModules:\n{listing}\n"
    body = _PACKAGE_BODY.format(
        package=PACKAGE, names=", ".join(names), listed=names, joined=", ".join(names)
    )
    return f"{_quoted(doc)}\n{body}"


def module_source(name: str, source: object) -> str:
    """Return the source of one module; its functions ask the host."""
    functions = functions_of(source)
    doc = f"{inspect.getdoc(type(source))}\n\n{_overview(name, functions)}\n"
    parts = [_quoted(doc), _OPENING]
    parts += [_function_source(f"{name}.{each}", function) for each, function in functions.items()]
    return "\n".join(parts)


def _overview(name: str, functions: Functions) -> str:
    """Return one line per function: help() of a whole module is long, and may be shown in part."""
    lines = [f"    {each}{_bare(function)}" for each, function in functions.items()]
    hint = f"help({name}.{next(iter(functions))}) explains one of them."
    return "\n".join(["Functions:", *lines, "", hint])


def _bare(function: Callable[..., object]) -> str:
    signature = inspect.signature(function)
    parameters = [
        each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()
    ]
    return str(inspect.Signature(parameters))


def _function_source(method: str, function: Callable[..., object]) -> str:
    signature = inspect.signature(function)
    arguments = ", ".join(f"{each!r}: {each}" for each in signature.parameters)
    doc = indent(_quoted(f"{inspect.getdoc(function)}\n"), "    ", lambda line: bool(line.strip()))
    head = f"\n@_explain\ndef {function.__name__}{signature}:"
    return f"{head}\n{doc}\n    return _ask({method!r}, {{{arguments}}})\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""{escaped}"""'
