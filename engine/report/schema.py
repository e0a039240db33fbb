"""The layout of model_comparison.json as a JSON Schema, written from the values it is made of."""

import ast
import inspect
from itertools import pairwise
from typing import Any

import msgspec

from engine import purity, transcript
from engine.compare import measures, result, turns
from engine.compare.claims import counts
from engine.compare.claims.counts import ClaimCounts
from engine.compare.measures import ArmSummary, Measures
from engine.compare.result import VERSION, Comparison
from engine.transcript import Message, StopReason

_REF = "#/$defs/{name}"
_VALUES = (Comparison, ArmSummary, Measures, ClaimCounts, Message, StopReason)
_MODULES = (result, measures, turns, counts, purity, transcript)
"""Where they and their parts are defined."""


def model_comparison_schema() -> dict[str, Any]:
    """Return the schema; every field of a value has the words that stand below it in its class."""
    _, found = msgspec.json.schema_components(_VALUES, ref_template=_REF)
    definitions: dict[str, Any] = dict(found)
    _describe(definitions)
    conversation = _object(
        "One investigation as the model saw it.",
        investigation={"type": "string"},
        model={"type": "string"},
        phase={"type": "string"},
        replicate={"type": "integer"},
        seed={"type": "integer"},
        stop_reason={"anyOf": [_ref("StopReason"), {"type": "null"}]},
        messages=_list(_ref("Message")),
    )
    counts = dict(definitions["ArmSummary"]["properties"])
    arm = _object(
        "All investigations of one arm.",
        **(counts | {"investigations": _list(_ref("Measures"))}),
        conversations=_list(_ref("Conversation")),
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"The layout of model_comparison.json, version {VERSION} of its comparison.",
        **_object(
            "How the arms of a run differ, and all that they said.",
            format={"type": "integer", "description": "Version of the run directory."},
            run={"type": "string"},
            phases=_list({"type": "string"}),
            seed={"type": "integer"},
            comparison=_ref("Comparison"),
            claims={"type": "object", "additionalProperties": _ref("ClaimCounts")},
            models={"type": "object", "additionalProperties": _ref("Arm")},
        ),
        "$defs": dict(sorted((definitions | {"Conversation": conversation, "Arm": arm}).items())),
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _REF.format(name=name)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(description: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


def _describe(definitions: dict[str, Any]) -> None:
    """Let every field of a value say what it is."""
    for name, definition in definitions.items():
        value = next((vars(each)[name] for each in _MODULES if name in vars(each)), None)
        words = _words_below(value) if inspect.isclass(value) else {}
        for field, schema in definition.get("properties", {}).items():
            if field in words:
                schema["description"] = words[field]


def _words_below(value: type) -> dict[str, str]:
    """Return by field the docstring that stands below it."""
    (body,) = ast.parse(inspect.getsource(value)).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for field, below in pairwise(body.body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str() as text)),
            ):
                found[name] = " ".join(text.split())
            case _:
                pass
    return found
