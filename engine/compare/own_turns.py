"""Which turns of an investigation are its own. Pure."""

from engine.transcript import Transcript, Turn


def first_own_turn(transcript: Transcript) -> int:
    """Return the index of the first turn that is no other run's.

    A fork has those before it from the run that was forked, maybe from another model. What
    investigations of one run share is of one model, and each one's own.
    """
    origin = transcript.origin
    return origin.n_turns if origin and origin.run else 0


def own_turns(transcript: Transcript) -> tuple[Turn, ...]:
    """Return the turns that are no other run's."""
    return transcript.turns[first_own_turn(transcript) :]
