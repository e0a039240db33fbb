"""Strict rendering of prompt templates (Jinja2). Pure."""

from functools import lru_cache

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.errors import UsageError

_JINJA = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,
)


@lru_cache(maxsize=256)
def _compiled(template: str) -> Template:
    return _JINJA.from_string(template)


def render(template: str, **values: object) -> str:
    """Fill `template` with `values`; surrounding blank lines are dropped.

    Raises:
        UsageError: the template is malformed or names a variable that is not given.
    """
    try:
        return _compiled(template).render(values).strip()
    except TemplateError as error:
        first_line = template.strip().partition("\n")[0]
        raise UsageError(f"prompt template starting {first_line!r}: {error}") from error
