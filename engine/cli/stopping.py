"""What stops a run before its work is done: Ctrl-C, a deadline, a budget of the whole run."""

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from engine.budget import Ledger, RunBudget, overdrawn
from engine.cli.console import say
from engine.drain import Drain
from engine.events import Compacted, CompletionReceived, Event, TurnEnded
from engine.transcript import Usage

INTERRUPTED_BY_HAND = "interrupted"


def obey_signals(drain: Drain) -> None:
    """Let Ctrl-C drain the run, and stop it at once the second time; SIGTERM stops it at once.

    So does SIGHUP, the end of the terminal. What is ignored (`nohup`, a shell's `&`) stays so.
    Before there is anything to drain, the first Ctrl-C stops at once.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def interrupt() -> None:
        if drain.reason is None and drain.is_heard:
            say("finishing the turns that are under way; Ctrl-C once more stops at once.")
            drain.begin(INTERRUPTED_BY_HAND)
        else:
            task.cancel()

    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    for number, act in ((signal.SIGHUP, task.cancel), (signal.SIGINT, interrupt)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, act)


def stop_at_once() -> None:
    """Let Ctrl-C end the command at once from now on: no turn is left that it could wait for."""
    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


@dataclass
class Spending:
    """Drains the run when its budget is spent."""

    budget: RunBudget
    drain: Drain
    ledger: Ledger = field(default_factory=Ledger)
    _is_uncounted: bool = False

    def hear(self, event: Event) -> None:
        """Count what the event has spent."""
        self._spend(event)
        reached = overdrawn(self.budget, self.ledger)
        if reached and self.drain.reason is None:
            say(f"{reached}; finishing the turns that are under way.")
            self.drain.begin(reached)

    def _spend(self, event: Event) -> None:
        match event:
            case CompletionReceived() | Compacted():
                self._spend_tokens(event.investigation, event.completion.usage)
            case TurnEnded():
                self.ledger = self.ledger.spend_turn()
            case _:
                pass

    def _spend_tokens(self, investigation: str, usage: Usage) -> None:
        self.ledger = self.ledger.spend_tokens(usage)
        if usage == Usage() and not self._is_uncounted:
            self._is_uncounted = True
            say(
                f"{investigation}: its server tells no token counts. What comes without them is "
                "counted as 0 tokens, reaches no limit of tokens, and has no known cost."
            )


@contextmanager
def until_deadline(deadline_s: float | None, drain: Drain) -> Generator[None]:
    """Drain the run `deadline_s` from now, unless the block has ended by then."""
    if deadline_s is None:
        yield
        return

    def reach() -> None:
        say("the deadline is reached; finishing the turns that are under way.")
        drain.begin("the deadline was reached")

    timer = asyncio.get_running_loop().call_later(deadline_s, reach)
    try:
        yield
    finally:
        timer.cancel()
