"""The teacher's course through one experiment: a generator of replies that is sent the outputs."""

import random
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from scripts.tiny import moves
from scripts.tiny.moves import Move, Seen, imports
from scripts.tiny.phrases import phrase
from scripts.tiny.slips import fenced, make_slip

_MOST_TURNS = 4
"""Aimed at without errors: the comparison gives five in an experiment."""
SLIP_SHARE = 0.25
"""Share of experiments in which one error is made on purpose."""
DONE = 'print("EXPERIMENT_COMPLETE")'


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the teacher says; a slip is not taught."""

    text: str
    is_taught: bool = True
    finish_reason: str = "stop"


Course = Generator[Reply, str, None]
Choice = Callable[[random.Random, Seen], Move]

_OPENINGS: tuple[Choice, ...] = (
    moves.summary,
    moves.summary,
    moves.summary,
    moves.list_layers,
    moves.list_parameters,
)
_STRUCTURE: tuple[Choice, ...] = (
    moves.describe,
    moves.info,
    moves.info,
    moves.list_parameters,
    moves.list_layers,
    moves.share,
    moves.shared,
    moves.summary,
)
_WEIGHTS: tuple[Choice, ...] = (
    moves.statistics,
    moves.statistics,
    moves.statistics,
    moves.sweep,
    moves.compare,
)
_PROCESSING: tuple[Choice, ...] = (
    moves.sweep,
    moves.sweep,
    moves.compare,
    moves.compare,
    moves.statistics,
    moves.share,
)


_ABOUT_WEIGHTS = frozenset({"statistics", "sweep", "compare"})


class Investigator:
    """What the teacher remembers over the experiments of one investigation."""

    def __init__(self, rng: random.Random) -> None:
        """Draw all choices from `rng`."""
        self.rng = rng
        self.seen = Seen()
        self.findings: list[tuple[str, str]] = []
        """(description, category), not stored yet."""
        self.measured: list[tuple[str, Move]] = []
        """Each finding and how it was made."""
        self.read: list[int] = []
        """Places of the documents that were read."""
        self.remark = ""
        """Words on the last output, with which the next reply begins."""
        self._n_replies = 0
        """In the present experiment."""

    def architecture(self) -> Course:
        """Investigate the architecture."""
        first = self.rng.choice(_OPENINGS)
        others = [choice for choice in _STRUCTURE if choice is not first]
        between = self.rng.sample(others, self.rng.choice((0, 1, 1)))
        yield from self.measure([first, *between, self.rng.choice(_WEIGHTS)])
        yield from self.store(phrase(self.rng, "intent", "record"))

    def processing(self, n_others: Sequence[int] = (0, 1, 1)) -> Course:
        """Investigate how layers differ, by one measurement and `n_others` more."""
        first = self.rng.choice(_PROCESSING)
        others = [choice for choice in _PROCESSING if choice is not first]
        yield from self.measure([first, *self.rng.sample(others, self.rng.choice(n_others))])
        yield from self.store(phrase(self.rng, "intent", "record"))

    def conclusions(self) -> Course:
        """Read the findings and conclude."""
        rng = self.rng
        known = yield from self.read_findings()
        chosen = rng.sample(known, min(len(known), rng.choice((1, 2))))
        self.remark = phrase(rng, "remark", "read", known=" ".join(chosen))
        supposed = phrase(rng, "supposition", "any")
        limit = phrase(rng, "limit", "any")
        lead = f"{supposed} {limit} {phrase(rng, 'intent', 'conclude')}"
        self.findings += [(chosen[0], "conclusion"), (limit, "limit")]
        if rng.random() < 0.5:  # noqa: PLR2004 - an even mix
            self.findings.insert(-1, (supposed, "theory"))
        yield from self.store(lead)

    def measure(self, plan: Sequence[Choice]) -> Course:
        """Make the measurements of `plan` in order, at times with an error on the way."""
        rng = self.rng
        self._n_replies = 0
        slip_at = rng.randrange(len(plan)) if rng.random() < SLIP_SHARE else None
        for place, choose in enumerate(plan):
            move = choose(rng, self.seen)
            lead = phrase(rng, "intent", move.occasion, **move.fields)
            if place == slip_at:
                yield from self._slip(move, lead, move.code)
                lead = ""
            output = yield self.reply(lead, move.code)
            self._note(move, output)

    def _slip(self, move: Move, lead: str, code: str) -> Course:
        slip = make_slip(self.rng, move, self._with_remark(lead), code)
        self.remark = ""
        self._n_replies += 1
        output = yield Reply(text=slip.reply, is_taught=False, finish_reason=slip.finish_reason)
        is_harmless = slip.is_code and "Error" not in output and "print" in slip.reply
        self.remark = "" if is_harmless else slip.apology

    def _note(self, move: Move, output: str) -> None:
        self.seen.learn(output)
        fields = {**move.fields, **move.read(output)}
        is_empty = move.occasion == "shared" and "found" not in fields
        occasion = "unshared" if is_empty else move.occasion
        self.remark = phrase(self.rng, "remark", occasion, **fields)
        category = "weights" if move.occasion in _ABOUT_WEIGHTS else "architecture"
        finding = phrase(self.rng, "finding", occasion, **fields)
        self.findings.append((finding, category))
        self.measured.append((finding, move))

    def read_findings(self) -> Generator[Reply, str, list[str]]:
        """Read what is stored; return it, the latest first."""
        output = yield self.reply(phrase(self.rng, "intent", "read"), _reading_code())
        known = re.findall(r"(?:^\d+:? |'description': ')([^'\n]+\.)", output, re.MULTILINE)
        assert known, output
        return known

    def store(self, lead: str) -> Course:
        """Store the findings and finish, in one block or in two or three."""
        rng = self.rng
        lines = [_record(*finding) for finding in self.findings]
        self.findings = []
        code = "\n".join([imports(["memory"]), *lines])
        is_late = self._n_replies > _MOST_TURNS - 2
        if is_late or rng.random() < 0.5 or not lines:  # noqa: PLR2004 - an even mix
            yield self.reply(lead, f"{code}\n{DONE}")
            return
        yield self.reply(lead, f"{code}\nprint(memory.list_categories())")
        self.remark = phrase(rng, "remark", "stored")
        yield self.reply(phrase(rng, "intent", "done"), DONE)

    def reply(self, lead: str, code: str, *, is_taught: bool = True) -> Reply:
        """Return a reply that begins with the words on the last output."""
        text = fenced(self._with_remark(lead), code)
        self.remark = ""
        self._n_replies += 1
        return Reply(text=text, is_taught=is_taught)

    def _with_remark(self, lead: str) -> str:
        return " ".join(part for part in (self.remark, lead) if part)


def _reading_code() -> str:
    return (
        f"{imports(['memory'])}\n"
        "for finding in memory.query_observations(limit=6):\n"
        '    print(finding["id"], finding["description"])'
    )


def _record(description: str, category: str) -> str:
    return f'memory.record_observation("{description}", category="{category}")'
