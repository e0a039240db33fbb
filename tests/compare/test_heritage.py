"""What documents do to a model: echo of their words, and revision of its findings."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.compare.echo import Sets, echoes_of, vocabulary_of
from engine.compare.own_words import findings_in
from engine.compare.revision import Revision, revision_of
from engine.compare.wording import content_of, likeness
from engine.transcript import Call, Execution, Message, Origin, Transcript, Turn
from tests.compare.making import fine
from tests.compare.snippets import transcript_of, turn_of

HERITAGE = Path(__file__).parents[2] / "phases" / "heritage"
DOCUMENTS = {
    "true": ("A lighthouse keeper examined a lighthouse. Layers were examined too.", "layers"),
    "wrong": ("A gardener wanted freedom. The gardener had freedom.",),
}
SETS = Sets(DOCUMENTS)


def reading(text: str = "...") -> Execution:
    call = Call(method="heritage.read_document", arguments={"document_name": "a"}, answer=text)
    return Execution(code="print(heritage.read_document('a'))", output=text, calls=(call,))


def storing(*texts: str) -> Execution:
    calls = tuple(
        Call(method="memory.record_observation", arguments={"description": text}, answer={})
        for text in texts
    )
    return Execution(code="", output="", calls=calls)


def turn(index: int, text: str, *executions: Execution, experiment: str = "e") -> Turn:
    made = turn_of(index, text, executions)
    return Turn(
        index=index,
        experiment=experiment,
        seed=1,
        completion=made.completion,
        action=made.action,
        executions=executions,
    )


def conversation(*turns: Turn, opening: str = "Begin.") -> Transcript:
    """An investigation with its messages as they are sent, each observation by itself."""
    sent = [Message("system", "You investigate."), Message("user", opening)]
    for each in turns:
        sent.append(Message("assistant", each.completion.text))
        sent += [Message("user", each.observation)] if each.observation else []
    return structs.replace(transcript_of(turns), messages=tuple(sent))


def seen(made: Turn, observation: str) -> Turn:
    return structs.replace(made, observation=observation)


def n_echoed(transcript: Transcript) -> int:
    (true, _) = echoes_of(transcript, SETS)
    return true.n_echoed_after


def revised(before: list[str], after: str, *stored: str) -> Revision:
    transcript = transcript_of(
        (
            turn(0, "", storing(*before), experiment="conclusions"),
            turn(1, after, storing(*stored), experiment="revision"),
        )
    )
    found = revision_of(transcript, ("revision",))
    assert found is not None
    return found


def test_the_vocabulary_of_a_set_is_what_it_repeats_and_the_other_one_lacks() -> None:
    assert vocabulary_of("true", DOCUMENTS) == {"lighthouse", "examined", "layers"}
    assert vocabulary_of("wrong", DOCUMENTS) == {"gardener", "freedom"}


def test_echo_is_counted_before_and_after_the_first_document_was_shown() -> None:
    transcript = transcript_of(
        (
            turn(0, "I am no lighthouse here."),
            turn(1, "I read about the lighthouse.", reading()),
            turn(2, "The lighthouse examined me.", storing("A lighthouse is here.")),
        )
    )
    echo = next(each for each in echoes_of(transcript, SETS) if each.documents == "true")
    assert (echo.n_echoed_before, echo.n_echoed_after) == (2, 3)
    assert echo.words == {"lighthouse": 2, "examined": 1}
    assert echo.share_after is not None
    assert echo.share_before is not None
    assert echo.share_after > echo.share_before


def test_words_that_a_measurement_showed_are_no_echo() -> None:
    shown = seen(turn(0, "", fine()), "Output:\nlighthouse")
    assert n_echoed(conversation(shown, turn(1, "", reading()), turn(2, "A lighthouse."))) == 0


def test_words_that_open_an_investigation_are_no_echo() -> None:
    turns = (turn(0, "", reading()), turn(1, "I examined it."))
    assert n_echoed(conversation(*turns)) == 1
    assert n_echoed(conversation(*turns, opening="Say what you examined.")) == 0


def test_words_on_the_documents_are_no_echo_though_an_observation_stands_before_them() -> None:
    turns = (
        seen(
            turn(0, "", reading()),
            "Output:\nThe keeper examined a lighthouse.\n\nGo on.",
        ),
        turn(1, "They examined a lighthouse.", experiment="revision"),
    )
    told = conversation(*turns)
    (*before, read, said) = told.messages
    opened = Message("user", f"{read.content}\n\nWhat is open to you, others examined.")
    assert n_echoed(told) == 2
    assert n_echoed(structs.replace(told, messages=(*before, opened, said))) == 1


def test_a_document_that_is_printed_a_turn_after_it_was_read_is_still_one() -> None:
    read = seen(turn(0, "", reading()), "Output:\n(nothing)")
    printed = seen(turn(1, "", fine()), f"Output:\n{DOCUMENTS['true'][0]}")
    assert n_echoed(conversation(read, printed, turn(2, "They examined a lighthouse."))) == 2


def test_words_of_a_nudge_are_no_echo() -> None:
    nudged = seen(turn(1, "What now?"), "Nobody has examined it for you.")
    turns = (turn(0, "", reading()), nudged, turn(2, "I examined it."))
    assert n_echoed(conversation(*turns)) == 0


def branched(transcript: Transcript, run: str | None) -> Transcript:
    """The same investigation with its first two turns from another one."""
    origin = Origin(investigation="o", run=run, n_turns=2, changes={}, is_exact=True)
    return structs.replace(transcript, origin=origin)


@pytest.mark.parametrize(("run", "n_before", "n_after"), [("run", 0, 1), (None, 1, 3)])
def test_the_words_before_a_fork_are_another_model_s_and_those_of_a_shared_beginning_its_own(
    run: str | None, n_before: int, n_after: int
) -> None:
    turns = (
        turn(0, "A lighthouse.", reading()),
        turn(1, "A lighthouse.", storing("A lighthouse.")),
        turn(2, "They examined it."),
    )
    (true, _) = echoes_of(branched(conversation(*turns), run), SETS)
    assert (true.n_echoed_before, true.n_echoed_after) == (n_before, n_after)


def test_a_fork_has_seen_the_documents_that_were_shown_before_it() -> None:
    shown = (turn(0, "", reading()), turn(1, ""), turn(2, "They examined it."))
    (true, _) = echoes_of(branched(conversation(*shown), "run"), SETS)
    assert (true.n_words_before, true.n_echoed_after) == (0, 1)


def test_without_documents_everything_is_before() -> None:
    (_, wrong) = echoes_of(transcript_of((turn(0, "The gardener."),)), SETS)
    assert (wrong.n_echoed_before, wrong.n_words_after) == (1, 0)
    assert wrong.share_after is None


def test_code_is_not_the_words_of_a_model() -> None:
    (_, wrong) = echoes_of(
        transcript_of((turn(0, "```python\nfreedom = 1\n```\nNo gardener."),)), SETS
    )
    assert wrong.words == {}
    assert wrong.n_echoed_before == 1


def test_echoes_of_several_investigations_add_up() -> None:
    transcript = transcript_of((turn(0, "", reading()), turn(1, "freedom freedom gardener")))
    (_, one) = echoes_of(transcript, SETS)
    both = one + one
    assert (both.n_echoed_after, both.words) == (6, {"freedom": 4, "gardener": 2})
    assert both.share_after == one.share_after


@pytest.mark.parametrize(
    ("later", "fate"),
    [
        ("I keep it: the late layers prepare the output.", "kept"),
        ("I give up that the late layers prepare the output.", "given_up"),
        ("I change this: the late layers prepare the output and more.", "changed"),
        ("The late layers do not prepare the output.", "changed"),
        ("Bananas are yellow and sweet fruits.", "unmentioned"),
    ],
)
def test_a_finding_is_kept_changed_given_up_or_not_mentioned(later: str, fate: str) -> None:
    (found,) = revised(["The late layers prepare the output."], later).findings
    assert found.fate == fate
    assert (found.later is None) == (fate == "unmentioned")


def test_another_number_changes_a_finding_and_a_rounding_of_words_does_not() -> None:
    before = ["The std of the up projection is 0.023."]
    changed = revised(before, "", "The std of the up projection is 0.031.")
    kept = revised(before, "", "As before, the std of the up projection is 0.023.")
    assert changed.counts()["changed"] == kept.counts()["kept"] == 1


def test_a_finding_that_is_like_none_before_is_new() -> None:
    found = revised(["There are 24 layers."], "", "Others asked the same question centuries ago.")
    assert found.new == ("Others asked the same question centuries ago.",)
    assert found.counts() == {"kept": 0, "changed": 0, "given_up": 0, "unmentioned": 1, "new": 1}


def test_there_is_no_revision_where_nothing_was_found_before() -> None:
    transcript = transcript_of((turn(0, "I keep all.", experiment="revision"),))
    assert revision_of(transcript, ("revision",)) is None
    assert revision_of(transcript, ()) is None


@given(st.lists(st.text(max_size=80), max_size=8), st.text(max_size=300))
def test_every_finding_has_one_fate_whatever_is_said(before: list[str], after: str) -> None:
    transcript: Transcript = transcript_of(
        (turn(0, "", storing(*before), experiment="a"), turn(1, after, experiment="b"))
    )
    found = revision_of(transcript, ("b",))
    if found:
        assert [each.finding for each in found.findings] == findings_in(transcript.turns[0])
    for echo in echoes_of(transcript, SETS):
        assert echo.n_echoed_after <= echo.n_words_after


@given(st.text(), st.text())
def test_likeness_is_symmetric_and_between_none_and_all(first: str, second: str) -> None:
    one, other = content_of(first), content_of(second)
    assert 0 <= likeness(one, other) == likeness(other, one) <= 1
    assert likeness(one, one) == (1.0 if one else 0.0)


def test_documents_that_ship_are_told_apart_by_their_vocabulary() -> None:
    sets = {
        kind: tuple(
            path.read_text(encoding="utf-8") for path in sorted((HERITAGE / name).iterdir())
        )
        for kind, name in (("true", "examination"), ("wrong", "free-will"))
    }
    for kind, texts in sets.items():
        turns = (turn(0, "", reading()), *(turn(n, text) for n, text in enumerate(texts, start=1)))
        found = {each.documents: each for each in echoes_of(transcript_of(turns), Sets(sets))}
        other = next(each for name, each in found.items() if name != kind)
        assert (found[kind].share_after or 0) > 0.05
        assert other.share_after == 0
