"""The models that ship: real investigations, and how well they predict what they were taught."""

from collections.abc import Sequence
from itertools import chain

import pytest

from scripts.tiny.check import LEAST_DONE, LEAST_PARSED, LEAST_RAN, measure, trials
from scripts.tiny.corpus import play
from scripts.tiny.encoding import Taught
from scripts.tiny.forward import Forward
from scripts.tiny.outcomes import Outcome
from scripts.tiny.plain_tokens import PlainTokens, ids_and_taught
from servers.embedded.model import EmbeddedModel, tiny_models

pytestmark = pytest.mark.slow

_MOST_BYTES = 8_000_000
_MOST_SURPRISE = 0.3
"""Nats per token of the teacher; it is above 1 for a phase that was never taught."""


def test_both_models_together_stay_small() -> None:
    files = [file for model in tiny_models() for file in model.directory.iterdir()]
    assert sum(file.stat().st_size for file in files) <= _MOST_BYTES


async def test_both_models_write_code_that_runs_and_say_when_they_are_done() -> None:
    shipped = [trial for trial in trials() if "reworded" not in trial.name]
    measured = await measure(tiny_models(), tried=shipped, n=3, seed=3)
    for model in tiny_models():
        found = sum((measured[model.key, trial.name] for trial in shipped), Outcome())
        assert found.parsed >= LEAST_PARSED, (model.key, found)
        assert found.ran >= LEAST_RAN, (model.key, found)
        assert found.done >= LEAST_DONE, (model.key, found)


@pytest.mark.parametrize("model", tiny_models(), ids=lambda model: model.key)
def test_transcripts_that_were_never_seen_are_predicted(model: EmbeddedModel) -> None:
    played = play({"comparison": 4, "1d": 1, "1c-modified": 1}, seed=777, n_checkpoints=4)
    each = chain.from_iterable(played.values())
    transcripts = [talk for one in each for talk in one.conversations]
    assert _surprise(model, transcripts) < _MOST_SURPRISE


def _surprise(model: EmbeddedModel, transcripts: Sequence[Sequence[Taught]]) -> float:
    """Return the mean negative log-likelihood of the taught tokens, in nats."""
    forward, tokens = Forward(model.directory), PlainTokens(model.directory)
    total, n_tokens = 0.0, 0
    for messages in transcripts:
        ids, is_taught = ids_and_taught(tokens, messages)
        each = forward.surprise(ids)
        total += float(each[is_taught[1:]].sum())
        n_tokens += int(is_taught[1:].sum())
    return total / n_tokens
