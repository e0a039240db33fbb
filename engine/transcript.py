"""What happened in one investigation: frozen values, and the append-only conversation."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

import msgspec

Role = Literal["system", "user", "assistant"]

NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
"""What models, phases and investigations are called: files and addresses bear their names."""


class StopReason(StrEnum):
    """Why an experiment or an investigation ended. Every end has exactly one."""

    COMPLETED = "completed"
    """The model said that it was done."""
    NO_CODE = "no_code"
    """A reply without code that neither asked nor was cut: nothing more to do."""
    TURN_LIMIT = "turn_limit"
    TOKEN_LIMIT = "token_limit"
    TIME_LIMIT = "time_limit"
    STUCK = "stuck"
    """The model repeated itself, or went on without code, although it was told."""
    CONTEXT_FULL = "context_full"
    """The conversation no longer fits the model's window."""
    SERVER_LOST = "server_lost"
    """The endpoint gave no completion, retries included."""
    REJECTED = "rejected"
    """The endpoint refused the request for good (wrong model name, key, parameter)."""
    SANDBOX_LOST = "sandbox_lost"
    """The host side of the sandbox failed."""
    FAULT = "fault"
    """A defect of the engine itself."""

    @property
    def is_infrastructure(self) -> bool:
        """True when the end is not the model's doing; such ends stay out of model statistics."""
        return self in _INFRASTRUCTURE


_INFRASTRUCTURE = frozenset(
    {
        StopReason.SERVER_LOST,
        StopReason.REJECTED,
        StopReason.SANDBOX_LOST,
        StopReason.FAULT,
    }
)


class Message(msgspec.Struct, frozen=True):
    """One message of the conversation as the model sees it."""

    role: Role
    content: str


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one completion, as the server counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Share of `prompt_tokens` that the server took from its prefix cache."""

    def __add__(self, other: "Usage") -> "Usage":
        """Return the tokens of both."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """One model reply."""

    text: str
    finish_reason: str
    """"stop" or "length"; whatever else the server says is kept as it is."""
    usage: Usage
    sent: float
    """Seconds since the epoch when the request left."""
    received: float
    """Seconds since the epoch when the reply was complete."""


NAMESPACE_LOST = "NamespaceLost"
"""Kind of the error of a block that ended its process, and with it all variables."""


class ExecutionError(msgspec.Struct, frozen=True):
    """Why a code block, or a call that it made, did not run to its end."""

    kind: str
    """Class name of the exception, or `NAMESPACE_LOST`."""
    message: str


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One introspection call made by model code, with the answer it got."""

    method: str
    """Dotted name, e.g. "weights.get_weight_statistics"."""
    arguments: dict[str, object]
    answer: object = None
    error: ExecutionError | None = None


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of running one code block."""

    code: str
    output: str
    """stdout and stderr in order, a traceback included; capped by the sandbox."""
    error: ExecutionError | None = None
    calls: tuple[Call, ...] = ()
    duration_s: float = 0.0


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One completion and what it caused."""

    index: int
    """Position in the investigation, from 0."""
    experiment: str
    seed: int
    completion: Completion
    action: str
    """Tag of the parsed action, see `engine.actions`."""
    executions: tuple[Execution, ...] = ()
    observation: str | None = None
    """Text that went back to the model; None when the turn ended the experiment."""


class Investigation(msgspec.Struct, frozen=True, kw_only=True):
    """Who investigates what: one model, one phase, one seed."""

    id: str
    model: str
    phase: str
    replicate: int
    seed: int
    stream: str = ""
    """Name of the stream from which the seeds of turns are drawn; a fork has its own."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where an investigation branched off another one."""

    investigation: str
    run: str | None
    """Name of its run; None: the same run."""
    n_turns: int
    """Turns that the two have in common; they were paid for once."""
    changes: dict[str, str]
    """What is different from there on, by the name of what was set."""
    is_exact: bool | None
    """Did the namespace come back as it was? None: it has not gone on yet."""


class RequirementCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment required, and what there was of it when it ended."""

    experiment: str
    min_code_blocks: int
    code_blocks: int
    min_findings: int
    findings: int

    @property
    def is_met(self) -> bool:
        """True when nothing is short."""
        return self.code_blocks >= self.min_code_blocks and self.findings >= self.min_findings


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """All that is recorded of one investigation."""

    investigation: Investigation
    started: float
    """Seconds since the epoch."""
    ended: float | None = None
    """None while it runs, and for a run that was killed."""
    stop_reason: StopReason | None = None
    detail: str = ""
    experiments: tuple[tuple[str, StopReason | None], ...] = ()
    """(name, why it ended), in order."""
    messages: tuple[Message, ...] = ()
    """The conversation as the model saw it."""
    turns: tuple[Turn, ...] = ()
    requirements: tuple[RequirementCheck, ...] = ()
    """One for each ended experiment that required something."""
    origin: Origin | None = None
    """None: it is its own from the first turn on."""
    revivals: tuple[Literal["exact", "diverged"], ...] = ()
    """One for each time it was taken up again: did the namespace come back as it was?"""
    revived_before: tuple[int, ...] = ()
    """For each of `revivals` the turn that came next."""


class Conversation:
    """The messages of one investigation, append-only, each encoded to JSON exactly once."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        """Start from `messages`."""
        self._messages: list[Message] = []
        self._encoded: list[bytes] = []
        for message in messages:
            self.append(message)

    def append(self, message: Message) -> None:
        """Add one message at the end."""
        self._messages.append(message)
        self._encoded.append(msgspec.json.encode(message))

    @property
    def messages(self) -> tuple[Message, ...]:
        """All messages, oldest first."""
        return tuple(self._messages)

    def encoded(self, *, has_system_role: bool = True) -> bytes:
        """Return the messages as one JSON array.

        Without a system role, what the system message says opens the user message after it.
        """
        encoded = self._encoded
        if not has_system_role and self._messages[0].role == "system":
            system, opening = self._messages[:2]
            first = Message("user", f"{system.content}\n\n{opening.content}")
            encoded = [msgspec.json.encode(first), *encoded[2:]]
        return b"[" + b",".join(encoded) + b"]"
