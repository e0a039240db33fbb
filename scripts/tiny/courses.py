"""What the teacher does in each experiment of the phases, by the name of the experiment."""

import random
import re
from collections.abc import Callable

from scripts.tiny.episodes import DONE, Course, Investigator, Reply
from scripts.tiny.moves import Seen, imports
from scripts.tiny.phrases import phrase

_LISTING = (
    f"{imports(['heritage'])}\n"
    "for each in heritage.list_documents():\n"
    '    print(each["name"], each["title"])'
)
_LISTED = re.compile(r"^[\w.-]+ \S.*$", re.MULTILINE)
_FALLS_SHORT_SHARE = 0.25
"""Share of the experiments with requirements in which the teacher is done too early at first."""
_READS_AGAIN_SHARE = 0.3
_BEYOND_SHARE = 0.08
"""Share of readings that first ask for a document that there is not."""


def course_of(experiment: str, investigator: Investigator, *, has_documents: bool) -> Course:
    """Return the course through `experiment`; documents that are granted are read first."""
    course = _COURSES[experiment](investigator)
    return _after_reading(investigator, course) if has_documents else course


def summary_of(investigator: Investigator) -> Reply:
    """Return what the teacher writes when it has to make the conversation shorter."""
    investigator.seen = Seen()  # names that are no longer shown are not asked for
    known = [finding for finding, _ in investigator.measured[-3:]]
    return Reply(text=" ".join([phrase(investigator.rng, "summary", "any"), *known]))


def _after_reading(investigator: Investigator, course: Course) -> Course:
    is_first = not investigator.read
    if is_first or investigator.rng.random() < _READS_AGAIN_SHARE:
        yield from _reading(investigator)
    yield from course


def _reading(investigator: Investigator) -> Course:
    """List the documents, read the beginning of one, and make a finding of it."""
    rng = investigator.rng
    output = yield investigator.reply(phrase(rng, "intent", "list_documents"), _LISTING)
    n = len(_LISTED.findall(output.partition("\n")[2]))  # below the word on what it is
    investigator.remark = phrase(rng, "remark", "list_documents", n=n)
    place = rng.choice([k for k in range(n) if k not in investigator.read] or [0])
    investigator.read.append(place)
    lead = phrase(rng, "intent", "read_document", number=place + 1)
    if rng.random() < _BEYOND_SHARE:
        yield investigator.reply(lead, _reading_code(rng, n + rng.randrange(3)), is_taught=False)
        investigator.remark, lead = phrase(rng, "repair", "document", n=n, number=place + 1), ""
    yield investigator.reply(lead, _reading_code(rng, place))
    investigator.remark = phrase(rng, "remark", "document")
    finding = phrase(rng, "finding", "document", n=n, number=place + 1)
    investigator.findings.append((finding, "documents"))


def _reading_code(rng: random.Random, place: int) -> str:
    return (
        f"{imports(['heritage'])}\n"
        f'name = heritage.list_documents()[{place}]["name"]\n'
        f'print(heritage.read_document(name)["text"][:{rng.choice((300, 400))}])'
    )


def _paper(investigator: Investigator) -> Course:
    yield from _maybe_short(investigator)
    yield from investigator.architecture()


def _patterns(investigator: Investigator) -> Course:
    yield from _maybe_short(investigator)
    yield from investigator.processing(n_others=(1, 1, 2))


def _maybe_short(investigator: Investigator) -> Course:
    """At times be done before anything is, and take up what is then said."""
    rng = investigator.rng
    if rng.random() < _FALLS_SHORT_SHARE:
        lead = phrase(rng, "intent", "done")
        yield investigator.reply(lead, DONE, is_taught=False)
        investigator.remark = phrase(rng, "repair", "shortfall")


def _critical_test(investigator: Investigator) -> Course:
    """Repeat the measurement behind one finding."""
    rng = investigator.rng
    known = yield from investigator.read_findings()
    tested = [each for each in investigator.measured if each[0] in known]
    finding, move = rng.choice(tested or investigator.measured)
    lead = phrase(rng, "intent", "test", known=finding)
    yield investigator.reply(lead, move.code)
    investigator.remark = phrase(rng, "remark", "tested")
    result = phrase(rng, "finding", "tested", known=finding)
    investigator.findings.append((result, "test"))
    yield from investigator.store(phrase(rng, "intent", "record"))


def _revision(investigator: Investigator) -> Course:
    """Read the findings again, and say of some whether they stand."""
    rng = investigator.rng
    known = yield from investigator.read_findings()
    kept = rng.choice(known)
    investigator.remark = phrase(rng, "remark", "kept", known=kept)
    given_up = phrase(rng, "given_up", "any")
    investigator.findings.append((phrase(rng, "finding", "kept", known=kept), "revision"))
    investigator.findings.append((given_up, "revision"))
    yield from investigator.store(f"{given_up} {phrase(rng, 'intent', 'revise')}")


def _tools(investigator: Investigator) -> Course:
    rng = investigator.rng
    modules = rng.sample(("architecture", "weights", "memory"), 3)
    told = [phrase(rng, "tool", module) for module in modules]
    yield Reply(text=" ".join([*told, phrase(rng, "limit", "any")]))


def _conditions(investigator: Investigator) -> Course:
    rng = investigator.rng
    yield Reply(text=f"{phrase(rng, 'condition', 'found')} {phrase(rng, 'condition', 'against')}")


def _expectations(investigator: Investigator) -> Course:
    rng = investigator.rng
    kinds = ("layers", "parameters", "depth", "sure")
    yield Reply(text=" ".join(phrase(rng, "expectation", kind) for kind in kinds))


_COURSES: dict[str, Callable[[Investigator], Course]] = {
    "architecture": Investigator.architecture,
    "activations": Investigator.processing,
    "conclusions": Investigator.conclusions,
    "architecture-paper": _paper,
    "activation-patterns": _patterns,
    "synthesis": Investigator.conclusions,
    "tools": _tools,
    "conditions": _conditions,
    "expectations": _expectations,
    "investigation": Investigator.architecture,
    "critical-test": _critical_test,
    "revision": _revision,
}
