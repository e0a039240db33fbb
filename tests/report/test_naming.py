"""Names of a run are public: no key that stands in one, and none that looks so, breaks a report."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.manifest import read_manifest
from engine.report.exports.chat import write_chat
from engine.report.exports.inspect_log import write_inspect
from engine.report.exports.material import Material, material_of
from engine.report.exports.otel import write_otel
from engine.report.exports.sts import write_sts
from engine.report.naming import redaction_for
from engine.report.page.page import page_of
from engine.report.redaction import HIDDEN
from engine.report.run import read_run
from tests.report.making import Said, make_run

OTHER = "correct-horse"
LIKE_A_KEY = ("sk-llama-3b-instruct-q4", "sk-llama-7b-instruct-q4")
Write = Callable[[Material, Path], list[Path]]


def a_run(folder: Path, *models: str) -> Path:
    return make_run(folder, lambda _: [Said(output=f"{OTHER}\n")], models=models, replicates=1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return a_run(tmp_path / "run", "ollama-3b", "ollama-7b")


@pytest.mark.parametrize("write", [write_inspect, write_sts, write_chat, write_otel])
@pytest.mark.parametrize("key", ["ollama", "comparison", "architecture"])
def test_a_key_that_a_name_of_the_run_tells_breaks_no_export(
    run: Path, tmp_path: Path, write: Write, key: str
) -> None:
    written = write(material_of(run, (), [key, OTHER]), tmp_path / "out")
    text = "".join(path.read_text(encoding="utf-8") for path in written)
    assert written
    assert OTHER not in text


def test_an_arm_that_looks_like_a_key_is_exported_by_its_name(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", *LIKE_A_KEY)
    written = write_sts(material_of(run, (), ()), tmp_path / "out")
    assert [path.stem for path in written] == [f"{name}.comparison.0" for name in LIKE_A_KEY]


def test_a_key_that_is_the_host_of_an_endpoint_leaves_a_trace_without_it(run: Path) -> None:
    path = run / "manifest.json"
    path.write_text(path.read_text().replace("127.0.0.1", "gateway"), encoding="utf-8")
    (out,) = write_otel(material_of(run, (), ["gateway"]), run / "out")
    assert "gateway" not in out.read_text(encoding="utf-8")


def test_the_page_calls_everything_by_the_names_that_its_links_have(run: Path) -> None:
    page = page_of(read_run(run), redaction_for(read_manifest(run), run, ["ollama"]))
    assert HIDDEN not in page
    assert "ollama-3b.comparison.0" in page


def test_names_are_told_from_texts_that_have_a_name_in_them(run: Path) -> None:
    redaction = redaction_for(read_manifest(run), run, ["my-ollama-3b-key"])
    assert redaction.text("ollama-3b.comparison.0") == "ollama-3b.comparison.0"
    assert not re.search("key", redaction.text("take my-ollama-3b-key"))
