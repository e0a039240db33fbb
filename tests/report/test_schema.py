"""The schema of model_comparison.json, and a file that a run wrote."""

import json
from pathlib import Path

import jsonschema
import pytest

from engine.compare.result import Comparison, Result
from engine.report.schema import model_comparison_schema
from scripts.schema import SHIPPED, rendered
from tests.cli.program import endpoint, run, two_arms


def test_the_schema_that_ships_is_what_the_values_say() -> None:
    assert SHIPPED.read_bytes() == rendered(), "scripts/schema.py --rewrite"


def test_fields_have_the_words_that_stand_below_them() -> None:
    effect = model_comparison_schema()["$defs"]["Effect"]["properties"]
    assert "Smallest true difference" in effect["mde"]["description"]


@pytest.mark.parametrize("value", [Comparison, Result])
def test_every_field_of_a_value_is_in_it(value: type[Comparison | Result]) -> None:
    properties = model_comparison_schema()["$defs"][value.__name__]["properties"]
    assert set(properties) == set(value.__struct_fields__)


async def test_a_file_that_a_run_wrote_is_valid(tmp_path: Path) -> None:
    async with endpoint() as server:
        await run(*two_arms(server), "--replicates", "2", "--out", "out", cwd=tmp_path)
    written = json.loads((tmp_path / "out" / "model_comparison.json").read_text())
    jsonschema.validate(written, model_comparison_schema())
    assert set(written) == set(model_comparison_schema()["properties"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(written | {"seed": "none"}, model_comparison_schema())
