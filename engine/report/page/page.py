"""Makes report.html: template, style and script joined with what a run holds."""

import base64
import hashlib
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from engine.report.page import numbers
from engine.report.page.island import island
from engine.report.page.marks import marks_of
from engine.report.page.records import Record, record_of
from engine.report.page.view import index_of, view_of
from engine.report.redaction import Redaction
from engine.report.run import Run

NAME = "report.html"
_HERE = "engine.report.page"
_SCRIPTS = ("data", "element", "highlight", "transcript", "list", "search", "main")
_REDACTED_TEXTS = 1000
"""Texts that are redacted once though they stand in many transcripts, as prompts do."""
_MARKUP = str.maketrans(
    {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\N{LINE SEPARATOR}": "\\u2028",
        "\N{PARAGRAPH SEPARATOR}": "\\u2029",
    }
)


def page_of(run: Run, redaction: Redaction) -> str:
    """Return the report of `run` as one HTML document that needs nothing else."""
    style, script = _read("style.css"), _script()
    packed = island(_records(run, redaction))
    return (
        _templates(redaction)
        .get_template("report.html.jinja")
        .render(
            view=view_of(run, redaction),
            index=in_script({**index_of(run, redaction), "skipped": packed.n_primer_bytes}),
            primer=Markup(packed.primer),  # noqa: S704 - base64
            chunks=[Markup(chunk) for chunk in packed.chunks],  # noqa: S704 - base64
            style=Markup(style),  # noqa: S704 - a file that ships with the program
            script=Markup(script),  # noqa: S704 - as above
            policy=_policy(style, script),
        )
    )


def _records(run: Run, redaction: Redaction) -> list[Record]:
    redact = lru_cache(_REDACTED_TEXTS)(redaction.text)
    parts = zip(run.transcripts, run.measures, run.ledgers, strict=True)
    return [
        record_of(transcript, marks_of(transcript, measures, ledger, run.comparison), redact)
        for transcript, measures, ledger in parts
    ]


def in_script(value: object) -> Markup:
    """Return `value` as JSON that can stand inside a script element: nothing in it is markup."""
    text = msgspec.json.encode(value).decode()
    return Markup(text.translate(_MARKUP))  # noqa: S704 - no character of markup is left


def _policy(style: str, script: str) -> str:
    """Return the content security policy: this style and this script, and nothing from anywhere."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _templates(redaction: Redaction) -> Environment:
    """Return an environment in which every text that is printed passes through `redaction`."""

    def finalize(value: object) -> object:
        return redaction.text(value) if type(value) is str else value

    environment = Environment(
        loader=PackageLoader(_HERE, "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )
    environment.filters.update(_filters())
    return environment


def _filters() -> dict[str, Any]:
    return {
        "figure": numbers.figure,
        "difference": numbers.difference,
        "between": numbers.interval,
        "probability": numbers.probability,
        "printed": numbers.printed,
        "size": numbers.size,
    }


def _script() -> str:
    parts = "\n".join(_read(f"script/{name}.js") for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}\n}})();\n'


@cache
def _read(name: str) -> str:
    return files(_HERE).joinpath(name).read_text(encoding="utf-8")
