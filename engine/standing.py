"""Where an investigation stands: a fold over its events, live and when a run is resumed."""

from dataclasses import dataclass, field

from engine.budget import Ledger
from engine.events import (
    Compacted,
    CompletionReceived,
    Event,
    ExperimentEnded,
    ExperimentStarted,
    Fork,
    InvestigationResumed,
    InvestigationStarted,
    TurnEnded,
)
from engine.transcript import Conversation, Execution, Message, StopReason, Usage

Deed = tuple[str, tuple[str, ...]]
"""What one turn was: the model's own text, and the outputs of its blocks."""


@dataclass
class Standing:
    """All that the next step depends on. Only `take` changes it, but for sending what is unsent."""

    conversation: Conversation = field(default_factory=Conversation)
    uncounted: list[str] = field(default_factory=list[str])
    """Texts that the server has not counted yet."""
    latest: CompletionReceived | None = None
    """The last completion, with what the server counted; None: that is not what goes on."""
    unsent: str | None = None
    """The last observation, until it is sent by itself or opens the next experiment."""
    ledger: Ledger = field(default_factory=Ledger)
    n_replies: int = 0
    replied: Usage = field(default_factory=Usage)
    """What the server counted for all replies together; summaries are none."""
    experiment: str | None = None
    """Name of the experiment that is open."""
    opening: str = ""
    """The message that opened it."""
    opened_at: Ledger = field(default_factory=Ledger)
    """What was spent when it opened."""
    n_compactions: int = 0
    n_summaries: int = 0
    """Those that were received, blank ones included."""
    n_blank: int = 0
    """Blank ones since the last compaction."""
    is_summarised: bool = False
    """A summary was received, and the reply that it was to make room for was not yet."""
    asked: CompletionReceived | None = None
    """A completion that was received and not acted on yet."""
    acting_since: float = 0.0
    """When work on it began: as it was received, or taken up again by a resume."""
    last: TurnEnded | None = None
    """The last turn of the open experiment."""
    ends: list[StopReason] = field(default_factory=list[StopReason])
    """Why the experiments before ended, in order."""
    done: list[Deed] = field(default_factory=list[Deed])
    """The turns of the open experiment."""
    is_told_shortfall: bool = False
    """The model knows what the open experiment still requires of it."""
    starts: dict[str, int] = field(default_factory=dict[str, int])
    """Experiment -> executions before it."""
    idle: int = 0
    """Turns without executed code since the last one with it."""
    executions: list[Execution] = field(default_factory=list[Execution])

    def take(self, event: Event) -> None:
        """Take one event of the investigation."""
        match event:
            case InvestigationStarted(fork=Fork(events=events)):
                for each in events:
                    self.take(each)
            case ExperimentStarted():
                self._open(event)
            case CompletionReceived():
                self._receive(event)
            case Compacted():
                self._compact(event)
            case TurnEnded():
                self._end_turn(event)
            case InvestigationResumed():
                self.acting_since = event.time
            case ExperimentEnded():
                self.ends.append(event.stop_reason)
                self.experiment = None
            case _:
                pass

    @property
    def own_executions(self) -> list[Execution]:
        """What was executed in the open experiment."""
        return self.executions[self.starts[self.experiment] :] if self.experiment else []

    @property
    def counted(self) -> Usage | None:
        """What the server counted for the last completion; None where it is not what goes on."""
        return self.latest.completion.usage if self.latest else None

    @property
    def spent(self) -> Ledger:
        """What the open experiment has spent."""
        return self.ledger.since(self.opened_at)

    @property
    def ending(self) -> StopReason | None:
        """Why the open experiment ends after its last turn; None when it goes on."""
        return self.last.ends if self.last and self.asked is None else None

    def send_unsent(self) -> None:
        """Let the last observation be a message of its own; the open experiment goes on."""
        if self.unsent is not None:
            self._add(Message("user", self.unsent))
            self.unsent = None

    def _open(self, event: ExperimentStarted) -> None:
        self.experiment, self.last, self.unsent = event.experiment, None, None
        self.opened_at = self.ledger
        self.done, self.idle, self.is_told_shortfall = [], 0, False
        self.starts[event.experiment] = len(self.executions)
        self.opening = event.messages[-1].content
        for message in event.messages:
            self._add(message)

    def _receive(self, event: CompletionReceived) -> None:
        self.send_unsent()
        self.conversation.append(Message("assistant", event.own_text))
        usage = event.completion.usage
        if usage.prompt_tokens:
            self.latest, self.uncounted = event, []
        else:  # the server does not count
            self.uncounted.append(event.own_text)
        self.n_replies, self.replied = self.n_replies + 1, self.replied + usage
        self.asked, self.acting_since = event, event.completion.received
        self.is_summarised = False

    def _compact(self, event: Compacted) -> None:
        self.ledger = self.ledger.spend_tokens(event.completion.usage)
        self.n_summaries, self.is_summarised = self.n_summaries + 1, True
        if not event.messages:
            self.n_blank += 1
            return
        self.conversation, self.unsent = Conversation(event.messages), None
        self.latest, self.uncounted = None, [message.content for message in event.messages]
        self.n_compactions, self.n_blank = self.n_compactions + 1, 0

    def _end_turn(self, event: TurnEnded) -> None:
        assert self.asked is not None, "a turn ends after its completion"
        completion = self.asked.completion
        seconds = completion.received - completion.sent + event.time - self.acting_since
        self.ledger = self.ledger.spend(completion.usage, seconds)
        self.unsent = event.observation
        outputs = tuple(execution.output for execution in event.executions)
        self.done.append((self.asked.own_text, outputs))
        self.idle = 0 if event.executions else self.idle + 1
        self.is_told_shortfall = self.is_told_shortfall or event.is_told_shortfall
        self.last, self.asked = event, None
        self.executions += event.executions

    def _add(self, message: Message) -> None:
        self.conversation.append(message)
        self.uncounted.append(message.content)
