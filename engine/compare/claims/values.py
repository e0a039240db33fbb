"""What a claim is, where it stands, and what supports or contradicts it. Values."""

from typing import Literal

import msgspec

Kind = Literal["number", "name", "action"]
Status = Literal["grounded", "contradicted", "unmeasured", "pretended"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a claim stands: in a reply, or in the finding that a call stored."""

    turn: int
    """Index of the turn, from 0."""
    execution: int | None = None
    """Place of the execution in its turn; None: the reply."""
    call: int | None = None
    """Place of the call in its execution."""
    start: int
    """First character in the text of the completion, or in the description of the finding."""
    end: int


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The recorded fact that a claim is compared with."""

    turn: int
    execution: int
    call: int | None = None
    """None: the output; else the answer to this call of the execution."""
    start: int | None = None
    """First character in the output; None: in an answer."""
    end: int | None = None
    shown: str
    """The fact as it was printed or answered, with its name where it has one."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a model asserted."""

    kind: Kind
    status: Status
    text: str
    place: Place
    quantity: str | None = None
    """What a number is the number of, e.g. "n_layers"; None: it is not said in known words."""
    value: float | None = None
    how: str = ""
    """How a grounded number follows: "as recorded", "rounded", "bounded", "derived", "computed"."""
    source: Source | None = None
    """What supports it, or what it contradicts."""
    is_true: bool | None = None
    """About the checkpoint: is it so? None: the checkpoint does not say."""


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """All claims of one investigation, in the order in which they were made."""

    claims: tuple[Claim, ...]
