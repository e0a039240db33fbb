"""The claim ledger: what a model says, beside what was recorded before it said so."""

import re
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compare.claims.counts import counts_of, total
from engine.compare.claims.ledger import ledger_of
from engine.compare.claims.numerals import numerals
from engine.compare.claims.prose import prose_of
from engine.compare.claims.truth import Truth
from engine.compare.claims.values import Claim
from engine.transcript import Call, Execution, Message, Origin, Transcript
from tests.compare.snippets import SNIPPETS, claims_after, evidence, score, transcript_of, turn_of

TRUTH = Truth(
    figures={"n_layers": 24, "hidden_size": 896, "n_parameters": 494032768, "activation": "silu"},
    names=frozenset({"model.layers.*.mlp.up_proj.weight", "model.norm.weight"}),
)


def claims_about(text: str, *before: str, truth: Truth | None = None) -> list[Claim]:
    return claims_after(text, *map(evidence, before), truth=truth)


def finding(text: str, code: str) -> Execution:
    call = Call(
        method="memory.record_observation",
        arguments={"description": text},
        answer={"id": 1, "category": "general", "n_observations": 1},
    )
    return Execution(code=code, output="", calls=(call,))


@pytest.mark.parametrize("kind", ["all", "number", "name", "action"])
def test_the_ledger_agrees_with_the_labels_of_people(kind: str) -> None:
    found = score(SNIPPETS, kind)
    print(f"{kind}: precision {found.precision:.3f}, recall {found.recall:.3f}")  # noqa: T201 - to be read
    assert found.precision >= 0.9, found.wrong
    assert found.recall >= 0.9, found.wrong


def test_held_out_texts_are_read_as_well_as_those_the_rules_were_written_with() -> None:
    found = score(tuple(each for each in SNIPPETS if each.is_held_out))
    print(f"held out: precision {found.precision:.3f}, recall {found.recall:.3f}")  # noqa: T201 - to be read
    assert min(found.precision, found.recall) >= 0.9, found.wrong


def test_a_claim_links_to_the_characters_that_support_it() -> None:
    (claim,) = claims_about("The largest value is 0.3984.", "up0")
    assert claim.source is not None
    output = evidence("up0").output
    assert claim.source.turn == 0
    assert output[claim.source.start : claim.source.end] == "0.398437"


def test_what_the_same_reply_prints_supports_nothing_that_it_says() -> None:
    turn = turn_of(0, "I have 24 layers.\n```python\nx\n```", (evidence("summary"),))
    (claim,) = ledger_of(transcript_of((turn,))).claims
    assert claim.status == "unmeasured"


def test_a_number_in_a_finding_that_no_code_contains_was_computed() -> None:
    code = "memory.record_observation(f'The mean std is {sum(stds) / 3:.4f}')"
    turn = turn_of(0, "", (finding("The mean std is 0.0379", code),))
    (claim,) = ledger_of(transcript_of((turn,))).claims
    assert (claim.status, claim.how) == ("grounded", "computed")


def test_a_number_in_a_finding_that_the_code_spells_out_needs_evidence() -> None:
    code = "memory.record_observation('The mean std is 0.0379')"
    turn = turn_of(0, "", (finding("The mean std is 0.0379", code),))
    (claim,) = ledger_of(transcript_of((turn,))).claims
    assert claim.status == "unmeasured"


def test_what_a_model_reads_of_its_own_findings_supports_no_number() -> None:
    text = "I have 31.7 million weights."
    query = Call(method="memory.query_observations", arguments={}, answer=[{"description": text}])
    read = Execution(code="", output=f"[{{'description': '{text}'}}]", calls=(query,))
    turns = (turn_of(0, "", (read,)), turn_of(1, text))
    (claim,) = ledger_of(transcript_of(turns)).claims
    assert claim.status == "unmeasured"


def test_a_name_that_a_model_stored_itself_supports_no_name() -> None:
    turns = (turn_of(0, "", (finding(NAMED, ""),)), turn_of(1, NAMED))
    assert [claim.status for claim in ledger_of(transcript_of(turns)).claims] == ["unmeasured"] * 2


@pytest.mark.parametrize("method", ["memory.query_observations", "heritage.read_document"])
def test_a_name_in_a_text_that_was_read_supports_no_name(method: str) -> None:
    read = Execution(
        code="", output=NAMED, calls=(Call(method=method, arguments={}, answer=NAMED),)
    )
    (claim,) = ledger_of(transcript_of((turn_of(0, "", (read,)), turn_of(1, NAMED)))).claims
    assert claim.status == "unmeasured"


def test_a_number_in_a_text_of_its_own_that_a_history_shows_supports_no_number() -> None:
    text = "I have 31.7 million weights."
    answer = {"turn": 1, "text": text, "layers": {"model.layers.0": {"std": 0.0379}}}
    call = Call(method="history.record_turn", arguments={"text": text}, answer=answer)
    shown = Execution(code="", output=f"{answer}", calls=(call,))
    said = turn_of(1, f"{text} The std is 0.0379.")
    claims = ledger_of(transcript_of((turn_of(0, "", (shown,)), said))).claims
    assert [claim.status for claim in claims] == ["unmeasured", "grounded"]


def test_an_answer_that_was_not_printed_supports_a_claim_too() -> None:
    (claim,) = claims_about("The min of model.layers.0.mlp.up_proj.weight is -0.41015.", "up0")[1:]
    assert (claim.status, claim.source and claim.source.call) == ("grounded", 0)


NAMED = "It is in model.layers.7.mlp."


def prompted(prompt: str, *, before: int) -> Transcript:
    """An investigation that says `NAMED` twice and is told `prompt` before one of the turns."""
    sent = [Message("assistant", NAMED)] * 2
    sent.insert(before, Message("user", prompt))
    made = transcript_of((turn_of(0, NAMED), turn_of(1, NAMED)))
    return msgspec.structs.replace(made, messages=(Message("system", "Begin."), *sent))


def test_a_name_that_a_prompt_gave_is_no_claim() -> None:
    assert not ledger_of(prompted(f"Begin. {NAMED}", before=0)).claims


def test_a_name_is_a_claim_until_a_prompt_gives_it() -> None:
    (claim,) = ledger_of(prompted(NAMED, before=1)).claims
    assert claim.place.turn == 0


def test_a_name_that_an_observation_showed_before_a_prompt_is_a_claim() -> None:
    made = prompted(f"Output:\n{NAMED}\n\nGo on.", before=1)
    first = msgspec.structs.replace(made.turns[0], observation=f"Output:\n{NAMED}")
    made = msgspec.structs.replace(made, turns=(first, made.turns[1]))
    assert [claim.place.turn for claim in ledger_of(made).claims] == [0, 1]


@pytest.mark.parametrize("end", [". I go on.", ": that is much.", ") is much.", ".", ", I think."])
def test_a_number_that_ends_a_clause_is_a_claim(end: str) -> None:
    said = f"The std of model.layers.0.mlp.up_proj.weight is 0.9999{end}"
    claim = claims_about(said, "up0")[-1]
    assert (claim.text, claim.status) == ("0.9999", "contradicted")


@pytest.mark.parametrize(
    "text",
    [
        "1. the std",
        "The std:\n  2. of it",
        "**3.** std",
        "4821. The std",
        "The std tells: 1) one, 2) two",
    ],
)
def test_the_number_of_an_item_is_no_claim(text: str) -> None:
    assert claims_about(text, "up0") == []


@pytest.mark.parametrize(
    "text",
    [
        "The total is large (from get_model_summary(): 494032768).",
        "The vocabulary is wide (via len(vocab), 151936).",
        "1) The layers are many (it was printed by f(x) as 4821).",
        "The std is small (so says f(x): 24).",
        "Total size (494032768).",
    ],
)
def test_a_number_at_the_end_of_a_remark_in_brackets_is_a_claim(text: str) -> None:
    assert [claim.text for claim in claims_about(text)] == [re.findall(r"\d+", text)[-1]]


@pytest.mark.parametrize(
    ("text", "is_true"),
    [
        ("I have 24 layers.", True),
        ("I have 23 layers.", False),
        ("I have about 490 million parameters.", True),
        ("The MLP of layer 3 has 490 million parameters.", None),
        ("The activation is SiLU.", True),
        ("The activation is GELU.", False),
        ("It is in model.layers.7.mlp.up_proj.weight.", True),
        ("It is in model.layers.24.mlp.up_proj.weight.", False),
        ("It is in model.layers.7.mlp.fc1.weight.", False),
        ("The vocabulary has 5,000 entries.", None),
    ],
)
def test_claims_about_the_model_are_judged_by_its_checkpoint(
    text: str,
    is_true: bool | None,  # noqa: FBT001 - a column of the table above
) -> None:
    (claim,) = claims_about(text, truth=TRUTH)
    assert claim.is_true is is_true


def branched(run: str | None, **changes: str) -> Transcript:
    """An investigation that has its first turn, with what that showed, from another one."""
    said = turn_of(0, "I have 23 layers.", (evidence("summary"),))
    origin = Origin(investigation="o", run=run, n_turns=1, changes=changes, is_exact=True)
    made = transcript_of((said, turn_of(1, "I have 24 layers.")))
    return msgspec.structs.replace(made, origin=origin)


@pytest.mark.parametrize("changes", [{"model": "m"}, {"temperature": "0.1"}, {}])
def test_what_was_said_before_a_fork_is_evidence_and_no_claim(changes: dict[str, str]) -> None:
    (claim,) = ledger_of(branched("r", **changes), TRUTH).claims
    assert (claim.text, claim.status, claim.is_true) == ("24", "grounded", True)


def test_what_was_said_in_a_beginning_that_phases_share_stays_a_claim() -> None:
    ledger = ledger_of(branched(None), TRUTH)
    assert [claim.is_true for claim in ledger.claims] == [False, True]


def test_counts_of_an_arm_add_up() -> None:
    ledgers = [ledger_of(each.transcript, TRUTH) for each in SNIPPETS]
    summed = total(map(counts_of, ledgers))
    assert summed.claims == sum(len(each.claims) for each in ledgers)
    assert summed.claims == (
        summed.grounded + summed.contradicted + summed.unmeasured + summed.pretended
    )
    assert summed.grounded_share == summed.grounded / summed.claims


def test_an_investigation_without_claims_has_no_shares() -> None:
    figures = counts_of(ledger_of(transcript_of(()))).figures()
    assert figures["claims_grounded_share"] is None
    assert figures["introspection_accuracy"] is None


_WORDS = st.sampled_from(
    ["I have", " 24 ", "layers", "0.0234", "std", "the mean", "-1e-05", "%", "```", "\n", ". ", ">",
     "model.layers.0.mlp", "I recorded", "(", ")", "=", "| ", "7B", "1,234", "head 3", "e.g.", "?"]
)  # fmt: skip


@settings(max_examples=150)
@given(st.one_of(st.text(), st.lists(_WORDS, max_size=60).map("".join)))
def test_any_text_can_be_read_and_every_claim_is_a_piece_of_it(text: str) -> None:
    for claim in claims_about(text, "summary", "up0", "sweep", truth=TRUTH):
        assert text[claim.place.start : claim.place.end] == claim.text


@given(st.one_of(st.text(), st.lists(_WORDS, max_size=40).map("".join)))
def test_any_output_can_be_read(output: str) -> None:
    turns = (turn_of(0, "", (Execution(code="", output=output),)), turn_of(1, "I have 24 layers."))
    (claim,) = ledger_of(transcript_of(turns)).claims
    assert claim.text == "24"


@pytest.mark.parametrize("word", ["\u017feven", "twenty-\u017fix", "f\u0131ve", "\u017fixteen"])
def test_a_word_with_a_letter_that_only_looks_alike_is_no_number(word: str) -> None:
    assert not list(numerals(f"I have {word} layers."))


@given(st.floats(min_value=-1e12, max_value=1e12), st.integers(min_value=1, max_value=8))
def test_a_number_agrees_with_what_it_was_rounded_from(value: float, places: int) -> None:
    (number, *_) = numerals(f"{value:.{places}g}")
    assert number.agrees_with(value)


@given(st.integers(min_value=0, max_value=10**12))
def test_separators_of_thousands_change_nothing(value: int) -> None:
    (plain,), (grouped,) = numerals(f"{value}"), numerals(f"{value:,}")
    assert plain.value == grouped.value == value


@given(st.lists(st.sampled_from(["text 1", "```python", "```", "~~~", "> 2", "    3", "````"])))
def test_every_character_of_prose_keeps_its_place(lines: list[str]) -> None:
    text = "\n".join(lines)
    prose = prose_of(text).text
    assert len(prose) == len(text)
    assert all(kept in (" ", char) for kept, char in zip(prose, text, strict=True))


@pytest.mark.parametrize(
    "unit",
    [
        *("a ", "0.123 ", "the mean is 12.5% ", "`", "1-", "model.model.", "I ran x ", "I have "),
        *(
            "I have 24 layers, ",
            "more than 24 layers, ",
            "a a model ",
            "not a, ",
            "my note is all ",
        ),
    ],
)
def test_a_reply_of_a_megabyte_takes_less_than_a_second_of_the_processor(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    claims_about("I have 24 layers.", "summary")
    began = time.process_time()
    claims_about(text, "summary", "up0", "sweep", truth=TRUTH)
    assert time.process_time() - began < 1
