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
def _compiled(template: str) -> tuple[Template, dict[str, object]]:
    """Return `template` ready to be filled, and what it knows without being told."""
    compiled = _JINJA.from_string(template)
    return compiled, dict(compiled.globals)


def render(template: str, **values: object) -> str:
    """Fill `template` with `values`; surrounding blank lines are dropped.

    Raises:
        UsageError: the template is malformed or names a variable that is not given.
    """
    try:
        compiled, known = _compiled(template)
        # What `Template.render` does, but for gathering what is known each time: half of its cost.
        context = compiled.new_context({**known, **values}, shared=True)
        return "".join(compiled.root_render_func(context)).strip()
    except TemplateError as error:
        first_line = template.strip().partition("\n")[0]
        raise UsageError(f"prompt template starting {first_line!r}: {error}") from error
