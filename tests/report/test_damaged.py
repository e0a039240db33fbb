"""A run directory that is damaged, or somebody else's: refused by name, nothing else is written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.cli.report import write_out
from engine.errors import RunError, UsageError
from engine.manifest import Manifest, read_manifest, write_manifest
from engine.report.exports.inspect_log import write_inspect
from engine.report.exports.material import material_of
from engine.report.run import read_run
from tests.report.making import Said, make_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run", lambda _: [Said()], replicates=1)


def without(run: Path, field: str, left: Callable[[Manifest], object]) -> None:
    manifest = read_manifest(run)
    write_manifest(run, manifest.model_copy(update={field: left(manifest)}))


def changed(run: Path, old: str, new: str) -> None:
    path = run / "manifest.json"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_manifest_of_a_newer_format_is_left_to_a_newer_phaselab(run: Path) -> None:
    changed(run, '"format": 1,', '"format": 99, "unheard": 1,')
    with pytest.raises(UsageError, match=r"newer phaselab \(format 99; .*Update phaselab"):
        read_manifest(run)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"seed": 0', '"seed": "x"', "seed: "),
        ('"model": "small"', '"model": 3', r"arms\.0\.model: "),
        ('"format": 1', '"format": 0', "format: "),
        ('"url": "http://127.0.0.1:1/v1"', '"url": "http://[::1"', r"arms\.0\.url: "),
        ('"others": []', '"others": ["h/v1"]', r"arms\.0\.others\.0: "),
        ("{", "", "Invalid JSON"),
    ],
)
def test_the_first_wrong_field_of_a_manifest_is_named_with_the_remedy(
    run: Path, old: str, new: str, field: str
) -> None:
    changed(run, old, new)
    with pytest.raises(UsageError, match=rf"manifest\.json: {field}.*restore a copy") as caught:
        read_manifest(run)
    assert "\n" not in str(caught.value)
    assert "http" not in str(caught.value)


def test_an_investigation_of_an_arm_that_the_manifest_lacks_is_refused(run: Path) -> None:
    without(run, "arms", lambda manifest: manifest.arms[:1])
    with pytest.raises(UsageError, match=r"no arm 'large', and large\.comparison\.0"):
        read_run(run)


def test_an_investigation_of_a_phase_that_the_manifest_lacks_is_refused(run: Path) -> None:
    without(run, "phases", lambda _: ())
    with pytest.raises(UsageError, match=r"no phase 'comparison', and small\.comparison\.0"):
        read_run(run)


def test_a_manifest_without_arms_is_refused(run: Path) -> None:
    without(run, "arms", lambda _: ())
    (run / "events.jsonl").write_bytes(b"")
    with pytest.raises(UsageError, match="names no arm"):
        read_run(run)


def test_an_export_refuses_what_the_manifest_lacks(run: Path, tmp_path: Path) -> None:
    without(run, "phases", lambda _: ())
    with pytest.raises(UsageError, match="no phase 'comparison'"):
        write_inspect(material_of(run, (), ()), tmp_path / "out")


def test_what_was_hidden_is_named_when_it_is_no_text(run: Path) -> None:
    (run / "purity.json").write_bytes(b'{"terms":["her\xff"],"documents":{}}')
    with pytest.raises(UsageError, match=r"purity\.json: cannot be read"):
        read_run(run)


def test_a_file_in_the_place_of_the_transcripts_is_named_before_anything_is_written(
    run: Path,
) -> None:
    (run / "transcripts").write_text("mine")
    with pytest.raises(RunError, match="transcripts: cannot be made a folder"):
        write_out(read_run(run))
    assert not (run / "summary.json").exists()


@pytest.mark.parametrize("name", ["small.comparison.0", "comparison"], ids=["id", "phase"])
def test_a_name_that_leads_out_of_the_directory_writes_nothing(run: Path, name: str) -> None:
    path = run / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(f'"{name}"'.encode(), b'"../../escaped"'))
    before = set(run.parent.rglob("*"))
    with pytest.raises(UsageError, match="is no name"):
        write_out(read_run(run))
    with pytest.raises(UsageError, match="is no name"):
        write_inspect(material_of(run, (), ()), run / "exports")
    assert set(run.parent.rglob("*")) == before
