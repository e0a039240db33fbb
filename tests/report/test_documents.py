"""What documents did to models, as the report tells it."""

from pathlib import Path

from engine.purity import Secrets
from engine.report.heritage import Exposure, exposures
from engine.report.page.page import page_of
from engine.report.purity import write_secrets
from engine.report.redaction import redaction_of
from engine.report.run import Run, read_run
from engine.transcript import Call, Investigation
from tests.report.making import Said, make_run

DOCUMENT = "A lighthouse keeper asked the lighthouse what the keeper was."
SECRETS = Secrets(
    terms=("heritage",),
    documents={"true": (DOCUMENT,), "wrong": ("A gardener wanted freedom: gardener, freedom.",)},
)
READING = Said(
    reply="I read.\n\n```python\nheritage.read_document('a')\n```",
    calls=(Call(method="heritage.read_document", arguments={"document_name": "a"}, answer="a"),),
    output=DOCUMENT,
)


def talk(case: Investigation) -> list[Said]:
    """The larger model speaks of what it has read."""
    return [READING, Said(reply="The lighthouse is me." if case.model == "large" else "I am done.")]


def a_run(folder: Path, *phases: str) -> Run:
    make_run(folder, talk, phases=phases, replicates=2)
    write_secrets(folder, SECRETS)
    return read_run(folder)


def shown(run: Run) -> tuple[Exposure, ...]:
    return exposures(run.heritage, run.manifest)


def test_words_of_documents_are_told_by_phase_and_model(tmp_path: Path) -> None:
    small, large = shown(a_run(tmp_path / "run", "1b"))
    assert (small.model, small.granted, large.model) == ("small", "true", "large")
    assert [echo.n_echoed_after for echo in small.echoes] == [0, 0]
    assert [echo.words for echo in large.echoes] == [{"lighthouse": 2}, {}]


def test_the_page_says_which_documents_a_phase_grants(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", "1b")
    page = page_of(run, redaction_of(run.manifest, run.directory))
    assert '<section id="documents"' in page
    assert "wrong, not granted" in page
    assert "<td>lighthouse</td>" in page


def test_a_run_without_documents_has_nothing_to_tell(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", "1a")
    assert shown(run) == ()
    assert '<section id="documents"' not in page_of(run, redaction_of(run.manifest, tmp_path))
