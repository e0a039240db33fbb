"""Everything worth recording. The journal is a sequence of these; all state is a fold over them.

`time` is seconds since the epoch in every event. The JSON of an event carries its kind in `event`.
"""

import msgspec

from engine.transcript import Completion, Execution, Message, RequirementCheck, StopReason


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """A recorded fact."""

    time: float


class RunStarted(Event, frozen=True, tag="run_started"):
    """The engine began, or continued, to work on the run."""

    investigations: int
    endpoints: dict[str, tuple[str, ...]] = {}
    """Model -> base URLs at which it was asked from here on."""
    machine: dict[str, str | int] = {}
    """What the engine ran on from here on."""


class LoadSeen(Event, frozen=True, tag="load_seen"):
    """How busy one server was, and how many requests were held back from it."""

    model: str
    url: str
    n_in_flight: int
    """Requests of this run that it was answering or had in its queue."""
    n_held: int
    """Requests of this run that were not sent to it yet."""
    n_running: int | None = None
    """Requests of everybody that it was answering; None, as all below: it does not tell."""
    n_waiting: int | None = None
    """Requests of everybody in its queue."""
    kv_share: float | None = None
    """Share of its KV cache in use."""
    prefix_share: float | None = None
    """Share of the prompt tokens since it began that its prefix cache saved."""


class RequestRepeated(Event, frozen=True, tag="request_repeated"):
    """A request got no completion, for a reason that may pass, and will be sent again."""

    investigation: str
    detail: str
    wait_s: float
    """Seconds until then."""


class Fork(msgspec.Struct, frozen=True, kw_only=True):
    """Where an investigation branched off another one, and all that it has in common with it."""

    investigation: str
    run: str | None = None
    """Name of its run; None: this one."""
    changes: dict[str, str] = {}
    """What is different from here on, by the name of what was set."""
    events: tuple["AnyEvent", ...] = ()
    """What was recorded of it up to the branch: what happened, not when it was begun or ended."""


class InvestigationStarted(Event, frozen=True, tag="investigation_started"):
    """One model took up one phase with one seed, from the beginning or from a branch on."""

    investigation: str
    model: str
    phase: str
    replicate: int
    seed: int
    stream: str = ""
    """Name of the stream of seeds, see `engine.transcript.Investigation`."""
    fork: Fork | None = None


class ExperimentStarted(Event, frozen=True, tag="experiment_started"):
    """A stage of the phase began; `messages` were added to the conversation."""

    investigation: str
    experiment: str
    messages: tuple[Message, ...]


class CompletionReceived(Event, frozen=True, tag="completion_received"):
    """The model replied. Recorded before anything that depends on the reply is done."""

    investigation: str
    experiment: str
    turn: int
    seed: int
    completion: Completion
    own_chars: int | None = None
    """Characters of the text until the model began to write somebody else's part; None: all."""

    @property
    def own_text(self) -> str:
        """The model's own part of the reply: what the conversation keeps."""
        return self.completion.text[: self.own_chars]

    @property
    def finish_reason(self) -> str:
        """How the own part ended: it is whole where somebody else's part was begun after it."""
        return self.completion.finish_reason if self.own_chars is None else "stop"


class Compacted(Event, frozen=True, tag="compacted"):
    """The window was nearly full: the model summarised what happened, and goes on from that."""

    investigation: str
    seed: int
    completion: Completion
    """The summary."""
    messages: tuple[Message, ...]
    """The conversation from here on; none: the summary is blank, and it stays as it was."""


class TurnEnded(Event, frozen=True, tag="turn_ended"):
    """All that one completion caused."""

    investigation: str
    turn: int
    action: str
    executions: tuple[Execution, ...]
    observation: str | None
    ends: StopReason | None = None
    """Why the experiment ends with this turn; None when it goes on."""
    is_told_shortfall: bool = False
    """The model wanted to end, and was told what the experiment still requires."""


class ExperimentEnded(Event, frozen=True, tag="experiment_ended"):
    """A stage of the phase ended."""

    investigation: str
    experiment: str
    stop_reason: StopReason
    requirements: RequirementCheck | None = None
    """None: it required nothing."""


class InvestigationEnded(Event, frozen=True, tag="investigation_ended"):
    """The investigation ended; `detail` says more where the reason alone does not."""

    investigation: str
    stop_reason: StopReason
    detail: str = ""


class InvestigationResumed(Event, frozen=True, tag="investigation_resumed"):
    """An unfinished investigation was taken up again."""

    investigation: str
    is_exact: bool
    """The recorded blocks printed the same when they were run again to revive the namespace."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What the answers of one method have cost the host."""

    n_asked: int = 0
    n_computed: int = 0
    """The other questions were answered by what was kept."""
    compute_s: float = 0.0
    """Seconds on the clock of all computations, those that were refused included."""


class IntrospectionCosts(Event, frozen=True, tag="introspection_costs"):
    """What questions about one model have cost since the run was begun or taken up again."""

    model: str
    methods: dict[str, Cost]
    """Dotted name -> cost; methods that answer from one investigation's own state are left out."""


class RunEnded(Event, frozen=True, tag="run_ended"):
    """The engine stopped working on the run, by itself or interrupted."""

    is_interrupted: bool = False


AnyEvent = (
    RunStarted
    | LoadSeen
    | RequestRepeated
    | InvestigationStarted
    | ExperimentStarted
    | CompletionReceived
    | Compacted
    | TurnEnded
    | ExperimentEnded
    | InvestigationEnded
    | InvestigationResumed
    | IntrospectionCosts
    | RunEnded
)
