"""Phase: the definition of an experimental condition, as data. No file is read here."""

from hashlib import blake2b
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DocumentsKind = Literal["true", "wrong"]
"""The documents that are about the subject of the study, or those about another."""

HERITAGE = "heritage"
"""Name of the capability whose documents come into an investigation."""

Positive = Annotated[int, Field(ge=1)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Sampling(_Value):
    """How completions are drawn; the same for every arm."""

    temperature: float = Field(default=0.7, ge=0, le=2)
    top_p: float = Field(default=0.9, gt=0, le=1)
    max_tokens: Positive = 1024
    """Most tokens of one reply."""


class Compaction(_Value):
    """How the model's own summaries are drawn."""

    temperature: float = Field(default=0.3, ge=0, le=2)
    spare_tokens: Positive = 100
    """What a summary may have beyond its target."""


class ReplyRules(_Value):
    """What a reply means beyond its code."""

    done_signal: str = "EXPERIMENT_COMPLETE"
    """Printed by executed code, it ends the experiment."""
    done_phrases: tuple[str, ...] = ()
    """A line of the reply that is one of these, marks and case aside, ends it too."""
    question_marks: tuple[str, ...] = ("?",)
    """A reply without code whose last 200 characters hold one of these is nudged, not ended."""
    foreign_marks: tuple[str, ...] = ()
    """From a line outside of code that starts with one of these on, the reply speaks for somebody
    else: that part is neither executed nor kept in the conversation."""
    repeats_to_nudge: Positive = 2
    """Times that the last turns were repeated before the model is told so."""
    repeats_to_stop: Positive = 4
    """Times that the last turns were repeated before the experiment ends as stuck."""
    idle_to_stop: Positive = 5
    """Turns in a row without executed code before the experiment ends as stuck."""


class Reminders(_Value):
    """When the observation says how many turns are left."""

    every_turns: Positive = 10
    last_turns: Positive = 5
    """One more reminder when this many are left."""


class Requirements(_Value):
    """What an experiment asks for at least. Unmet, the model is told once, and it is recorded."""

    min_code_blocks: int = Field(default=0, ge=0)
    """Executed code blocks."""
    min_findings: int = Field(default=0, ge=0)
    """Findings stored."""


class Heritage(_Value):
    """Which documents an arm gets, and from when on. Before that nothing of them can be seen."""

    documents: DocumentsKind
    begins: str
    """Name of the experiment from which on they are granted."""


class Experiment(_Value):
    """One prompted stage of a phase."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    prompt: str = Field(min_length=1)
    """Template text of the message that opens the stage."""
    prompt_on_documents: str | None = None
    """Template text said after the word on the documents, only where they are granted."""
    has_code: bool = True
    """False: code in replies is not executed, and the stage is one turn of discussion."""
    max_turns: Positive = 50
    max_tokens: Positive | None = None
    """Prompt and completion tokens of the stage; then the next one begins, as at `max_turns`."""
    max_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """The same for the seconds that its turns take."""
    requires: Requirements = Requirements()

    @model_validator(mode="after")
    def _requires_what_can_be_done(self) -> Self:
        if not self.has_code and self.requires != Requirements():
            raise ValueError("requires what only code can do, and has_code is false")
        return self


class Texts(_Value):
    """Templates of what the engine itself says to the model; the same in every phase."""

    system: str
    observation: str
    reminder: str
    cut: str
    malformed: str
    nudge: str
    empty: str
    circling: str
    foreign: str
    repeated: str
    summarise: str
    summarised: str
    no_output: str
    namespace_lost: str
    heritage: str
    shortfall: str


class Phase(_Value):
    """One experimental condition."""

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    title: str
    asks: str
    """The question that the condition is there to answer."""
    capabilities: tuple[str, ...] = Field(min_length=1)
    """Names of the introspection modules granted from the start; heritage has its own table."""
    heritage: Heritage | None = None
    """None: never."""
    experiments: tuple[Experiment, ...] = Field(min_length=1)
    sampling: Sampling = Sampling()
    rules: ReplyRules = ReplyRules()
    compaction: Compaction = Compaction()
    reminders: Reminders = Reminders()
    max_turns_total: Positive | None = None
    """Turns of one investigation, all its experiments together."""
    max_tokens_total: Positive | None = None
    """Prompt and completion tokens of one investigation, all turns together."""
    max_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Seconds that all turns of one investigation take together."""
    texts: Texts

    @model_validator(mode="after")
    def _names_what_is_there(self) -> Self:
        names = [experiment.name for experiment in self.experiments]
        twice = [name for place, name in enumerate(names) if name in names[:place]]
        if twice:
            raise ValueError(f"two experiments are called {twice[0]!r}")
        if HERITAGE in self.capabilities:
            raise ValueError(
                "capabilities names 'heritage'; say which documents and from when on in a table"
                ' [heritage] with documents = "true" or "wrong" and begins = "EXPERIMENT"'
            )
        if self.heritage and self.heritage.begins not in names:
            known = ", ".join(names)
            raise ValueError(
                f"heritage begins with {self.heritage.begins!r}, and the experiments are: {known}"
            )
        return self

    @property
    def fingerprint(self) -> str:
        """Hash of all that it says: another phase may have its key."""
        return blake2b(self.model_dump_json().encode(), digest_size=16).hexdigest()

    def has_heritage(self, experiment: str) -> bool:
        """Tell whether the documents are granted in the experiment of this name."""
        names = [each.name for each in self.experiments]
        begins = self.heritage and self.heritage.begins
        return begins is not None and names.index(experiment) >= names.index(begins)
