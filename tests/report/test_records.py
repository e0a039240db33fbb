"""What the report shows of a transcript, turn by turn."""

import msgspec

from engine.report.page.records import record_of
from engine.transcript import Message, Transcript
from tests.compare.making import FINE, transcript, turn


def told() -> Transcript:
    """Two experiments; what the first one ends with opens the prompt of the second one."""
    made = transcript([turn(FINE), turn(FINE), turn(experiment="conclusions")])
    turns = [msgspec.structs.replace(each, observation="Output:\n1") for each in made.turns[:2]]
    first, second, last = (Message("assistant", each.completion.text) for each in made.turns)
    opening = (Message("system", "You investigate."), Message("user", "Measure."))
    told = (*opening, first, Message("user", "Output:\n1"), second)
    told += (Message("user", "Output:\n1\n\nConclude.\n\nThere are documents."), last)
    return msgspec.structs.replace(made, messages=told, turns=(*turns, made.turns[2]))


def test_a_prompt_stands_without_the_observation_that_was_sent_with_it() -> None:
    steps = record_of(told(), (), str).steps
    assert [each.prompts for each in steps] == [
        (("system", "You investigate."), ("user", "Measure.")),
        (),
        (("user", "Conclude.\n\nThere are documents."),),
    ]
