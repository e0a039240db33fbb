"""A fork within the experiment that has documents: whose words on the findings before count."""

from msgspec.structs import replace

from engine.compare.revision import Revision, revision_of
from engine.transcript import Call, Execution, Origin
from tests.compare.making import transcript, turn

FOUND = "The late layers prepare the output."
STORING = Execution(
    code="store",
    output="",
    calls=(Call(method="memory.record_observation", arguments={"description": FOUND}),),
)
TURNS = [
    turn(STORING, experiment="conclusions"),
    turn(text=f"I give up that {FOUND}", experiment="revision"),
    turn(text=f"I keep it: {FOUND}", experiment="revision"),
]


def revision(run: str | None, n_inherited: int = 2) -> Revision | None:
    """What became of the finding in a branch that has `n_inherited` of three turns from `run`."""
    origin = Origin(investigation="o", run=run, n_turns=n_inherited, changes={}, is_exact=True)
    return revision_of(replace(transcript(TURNS), origin=origin), ("revision",))


def fate(found: Revision | None) -> str:
    assert found is not None
    return found.findings[0].fate


def test_what_the_model_of_another_run_gave_up_is_not_given_up_by_the_fork() -> None:
    assert fate(revision("run")) == "kept"


def test_what_investigations_of_one_run_share_is_the_word_of_each() -> None:
    assert fate(revision(None)) == "given_up"


def test_a_fork_without_a_turn_of_its_own_has_revised_nothing() -> None:
    assert revision("run", n_inherited=3) is None
