"""What is noted beside turns and investigations."""

from pathlib import Path

from msgspec.structs import replace

from engine.events import InvestigationResumed, TurnEnded
from engine.fold import transcripts
from engine.journal import read_events
from engine.report.page.marks import Mark, address, is_trouble, marks_of, remarks
from engine.report.run import Run, read_run
from engine.transcript import Origin, Transcript
from tests.report.making import Said, make_run

FIGURES = Said(reply="I look.", code="print('n_layers 24')", output="n_layers 24\n")
WRONG = Said(reply="I have 28 layers.", code=None)
RIGHT = Said(reply="I have 24 layers.", code=None)


def a_run(folder: Path) -> Run:
    return read_run(make_run(folder / "run", lambda _: [FIGURES, WRONG, RIGHT], replicates=1))


def marks_in(run: Run, transcript: Transcript) -> tuple[Mark, ...]:
    return marks_of(transcript, run.measures[0], run.ledgers[0], run.comparison)


def test_a_claim_stands_beside_what_was_recorded(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    found = [(mark.turn, mark.kind) for mark in marks_in(run, run.transcripts[0])]
    assert found == [(1, "contradicted"), (2, "grounded")]
    text = marks_in(run, run.transcripts[0])[0].text
    assert "28" in text
    assert "turn 1 shows n_layers 24" in text


def resumed(run: Run, *, is_exact: bool) -> Transcript:
    """The first transcript as if it had been taken up again before its second turn."""
    case = run.transcripts[0].investigation.id
    events = list(read_events(run.directory / "events.jsonl"))
    place = next(n for n, event in enumerate(events) if isinstance(event, TurnEnded)) + 1
    event = InvestigationResumed(time=3.0, investigation=case, is_exact=is_exact)
    return transcripts([*events[:place], event, *events[place:]])[0]


def test_a_resumed_turn_says_how_the_namespace_came_back(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    for is_exact, words in ((True, "exactly as it was"), (False, "otherwise than it was")):
        transcript = resumed(run, is_exact=is_exact)
        assert transcript.revived_before == (1,)
        (mark,) = [mark for mark in marks_in(run, transcript) if mark.kind == "revival"]
        assert mark.turn == 1
        assert words in mark.text


def test_a_branch_is_marked_where_it_becomes_its_own(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    origin = Origin(
        investigation="small.1a.0",
        run="before",
        n_turns=2,
        changes={"heritage": "wrong"},
        is_exact=True,
    )
    branch = replace(run.transcripts[0], origin=origin)
    (mark,) = [mark for mark in marks_in(run, branch) if mark.kind == "origin"]
    assert mark.turn == 2
    assert list(remarks(branch, run.measures[0])) == [
        "branched off small.1a.0 of run before after 2 turns (heritage = wrong), exactly"
    ]
    assert not is_trouble(run.measures[0])


def test_an_address_counts_turns_from_one() -> None:
    assert address("a.comparison.0", 0) == "a.comparison.0/1"
