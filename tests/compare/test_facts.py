"""What is shown of an answer is whole words of it, as they are."""

from engine.compare.claims.facts import shown_by
from engine.transcript import Call, Execution

KEY = "Plainkey-Zq8w7e6r5t4y3u2i1o0p"


def shown(answer: str) -> str:
    call = Call(method="architecture.describe", arguments={}, answer={"note": answer})
    _, (word,) = shown_by(Execution(code="", output="", calls=(call,)), 0, 0)
    return word.source.shown


def test_a_word_is_shown_as_it_was_answered() -> None:
    assert shown(f"SiLU {KEY}") == f"note: SiLU {KEY}"


def test_a_long_answer_is_never_cut_inside_a_word() -> None:
    """A key that is cut is not known for one when secrets are taken out."""
    assert shown(f"{'word ' * 36}{KEY}") == f"note: {'word ' * 36}".rstrip()
