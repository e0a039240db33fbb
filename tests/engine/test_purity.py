"""What an arm could see and must not know is found, wherever it stands."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine.cli.certify import certificate_of, secrets_of
from engine.cli.library import open_library
from engine.cli.options import Options
from engine.errors import CapabilityError
from engine.events import InvestigationStarted
from engine.introspection.memory import Memory
from engine.loop import Parts, Powers, investigate
from engine.manifest import Certificate
from engine.phase import Heritage, Phase
from engine.purity import Leak, leaks_of
from engine.sandbox import Answer
from engine.transcript import Call
from phases.load import get_phase, list_phases
from tests.engine.investigating import CASE, DONE, Kept, a_phase, parts_with, run_block

SECRETS = secrets_of(open_library(Options()))
PASSAGE = " ".join(SECRETS.documents["true"][2].split()[40:60])
OTHER_PASSAGE = " ".join(SECRETS.documents["wrong"][2].split()[40:60])
READ = run_block("from introspection import memory\nprint(memory.query_observations())")


@dataclass(frozen=True)
class Leaky:
    """Powers that answer every question about findings with something else."""

    powers: Powers
    given: object

    @property
    def modules(self) -> Mapping[str, str]:
        return self.powers.modules

    @property
    def lines(self) -> Sequence[tuple[str, str]]:
        return self.powers.lines

    @property
    def answer(self) -> Answer:
        return self._leak

    async def _leak(self, method: str, arguments: Mapping[str, object]) -> object:
        if not method.startswith("memory.query"):
            return await self.powers.answer(method, arguments)
        if isinstance(self.given, Exception):
            raise self.given
        return self.given

    def grant(self, *names: str) -> Mapping[str, str]:
        return self.powers.grant(*names)

    def restore(self, calls: Iterable[Call]) -> None:
        self.powers.restore(calls)


async def leaks(
    *replies: str, given: object = None, phase: Phase | None = None
) -> tuple[Leak, ...]:
    async with parts_with([*replies, DONE], phase=phase) as (parts, kept):
        leaky = replace(parts, powers=Leaky(parts.powers, given)) if given else parts
        await investigate(CASE, leaky)
    return leaks_of(transcript(kept), SECRETS.of(parts.phase))


def transcript(kept: Kept):  # noqa: ANN201 - a transcript
    start = InvestigationStarted(
        time=0, investigation=CASE.id, model="a", phase="comparison", replicate=0, seed=7
    )
    kept.events.insert(0, start)
    return kept.transcripts()[0]


@pytest.mark.parametrize("key", list_phases())
def test_the_phases_that_ship_are_clean(key: str) -> None:
    certificate = certificate_of(get_phase(key))
    assert certificate.leaks == ()
    assert "heritage" in certificate.terms
    assert certificate.n_passages > 1000
    assert {"system prompt", "prompt", "docstrings of introspection.memory"} <= set(
        certificate.scanned
    )


def with_prompt(key: str, experiment: str, text: str, field: str = "prompt") -> Phase:
    phase = get_phase(key)
    stages = tuple(
        each.model_copy(update={field: f"{getattr(each, field)}\n{text}"})
        if each.name == experiment
        else each
        for each in phase.experiments
    )
    return phase.model_copy(update={"experiments": stages})


def places(certificate: Certificate) -> set[tuple[str, str]]:
    return {(leak.place, leak.experiment) for leak in certificate.leaks}


@pytest.mark.parametrize("text", ["Mind your heritage.", "Call list_documents().", PASSAGE])
def test_a_secret_in_a_prompt_is_found(text: str) -> None:
    leaky = with_prompt("1d", "activations", text)
    assert places(certificate_of(leaky)) == {("prompt", "activations")}


def test_what_is_granted_may_be_said_from_then_on() -> None:
    assert certificate_of(with_prompt("1d", "revision", "Use your heritage.")).leaks == ()


def test_the_other_set_is_hidden_from_those_who_have_one() -> None:
    assert places(certificate_of(with_prompt("1e", "conclusions", PASSAGE)))
    assert not places(certificate_of(with_prompt("1e", "conclusions", OTHER_PASSAGE)))


def test_the_other_set_in_the_words_on_documents_is_found() -> None:
    told = with_prompt("1d", "revision", OTHER_PASSAGE, field="prompt_on_documents")
    assert places(certificate_of(told)) == {("words on documents", "revision")}


def test_a_secret_in_a_docstring_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    said = f"{Memory.query_patterns.__doc__}\nSee also the heritage."
    monkeypatch.setattr(Memory.query_patterns, "__doc__", said)
    found = certificate_of(get_phase("1a")).leaks
    assert {leak.place for leak in found} == {"docstrings of introspection.memory"}


def test_a_secret_in_a_text_of_the_loop_is_found() -> None:
    phase = get_phase("1a")
    texts = phase.texts.model_copy(update={"nudge": "Ask your heritage."})
    found = certificate_of(phase.model_copy(update={"texts": texts})).leaks
    assert {leak.place for leak in found} == {"text 'nudge'"}


async def test_an_ordinary_investigation_is_clean() -> None:
    assert await leaks(READ, "no code, only words?", run_block("1 / 0")) == ()


async def test_a_secret_in_an_error_is_found() -> None:
    error = CapabilityError("ValueError", "no; did you mean heritage.read_document?")
    found = await leaks(READ, given=error)
    assert {leak.found for leak in found} == {"heritage", "read_document"}
    assert {leak.place for leak in found} == {"error"}
    assert {leak.turn for leak in found} == {0}


async def test_a_passage_in_a_shared_answer_is_found_even_unprinted() -> None:
    silent = run_block("from introspection import memory\nx = memory.query_observations()")
    (found, *_) = await leaks(silent, given=[{"note": PASSAGE}])
    assert found.place == "answer"
    assert found.found in " ".join(PASSAGE.lower().replace(",", "").split()) or found.excerpt


async def test_what_stands_around_a_leak_is_told_as_it_stands_there() -> None:
    key = "Key-ab12.CD34-ef56.GH78-ij90"
    (found, *_) = await leaks(READ, given=[{"note": f"{key} is for my heritage, they say"}])
    assert found.excerpt == f"{key} is for my heritage, they say"


async def test_a_finding_of_another_investigation_is_found() -> None:
    found = await leaks(READ, given=[{"id": 1, "description": "I have 40 layers."}])
    assert [(leak.place, leak.found) for leak in found] == [("finding", "I have 40 layers.")]


async def test_findings_of_its_own_are_no_leak() -> None:
    store = "from introspection import memory\nmemory.record_observation('I have 4 layers.')"
    summary = run_block("from introspection import memory\nprint(memory.get_memory_summary())")
    assert await leaks(run_block(store), READ, summary) == ()


async def test_the_beginning_of_a_long_finding_of_its_own_is_no_leak() -> None:
    store = "from introspection import memory\nmemory.record_observation('0.123 ' * 400)"
    summary = run_block("from introspection import memory\nprint(memory.get_memory_summary())")
    assert await leaks(run_block(store), summary) == ()


async def test_more_than_a_finding_of_its_own_is_a_leak() -> None:
    store = "from introspection import memory\nmemory.record_observation('I have 4 layers.')"
    said = "I have 4 layers. I have 40 heads."
    found = await leaks(run_block(store), READ, given=[{"id": 1, "description": said}])
    assert [(leak.place, leak.found) for leak in found] == [("finding", said)]


async def test_what_the_model_said_first_is_its_own() -> None:
    guess = run_block("from introspection import heritage\nheritage.list_documents()")
    assert await leaks(guess) == ()


async def test_the_same_words_shown_first_are_a_leak() -> None:
    guess = run_block("print('heritage')")
    (found,) = await leaks(READ, guess, given=["heritage"])
    assert found.turn == 0


async def test_a_document_read_where_it_is_granted_is_no_leak() -> None:
    phase = a_phase().model_copy(
        update={"heritage": Heritage(documents="true", begins="architecture")}
    )
    seen = SECRETS.of(phase)
    parts: Parts
    async with parts_with([READ, DONE]) as (parts, kept):
        await investigate(CASE, replace(parts, powers=Leaky(parts.powers, [PASSAGE])))
    assert leaks_of(transcript(kept), seen) == ()


def test_names_that_could_be_any_word_are_not_sought(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Notes\n\n" + "word " * 40)
    secrets = secrets_of(open_library(Options(heritage=tmp_path)))
    assert ("notes",) not in secrets.before()
