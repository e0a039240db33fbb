"""The error vocabulary, and the one place where foreign exceptions are classified.

    EngineError
    |-- UsageError           the caller's mistake; names the field, the value and the remedy  exit 2
    |-- NotReadyError        the machine or an endpoint is not ready; names the remedy        exit 3
    |-- CapabilityError      an introspection call that cannot be answered; shown to the model
    |-- InvestigationError   ends one investigation, is recorded, never stops its siblings
    |   |-- ChatError        the endpoint did not give a completion
    |   |   `-- ContextOverflowError   the conversation no longer fits the model's window
    |   |-- SandboxError     the host side of the sandbox failed
    |   `-- TrunkLostError   the investigation whose beginning it shares was not carried out
    |-- DrainedError         a turn was not begun because the run is being stopped; resumable
    `-- RunError             ends the run                                                     exit 1
        `-- JournalError     an event could not be made durable

Model-written code that raises, loops or exhausts memory is a value (`Execution`), not an error.
A reached limit is a `StopReason`, not an error. A bug is an assertion.
"""

from collections.abc import Generator
from contextlib import contextmanager


class EngineError(Exception):
    """Root of everything the engine raises on purpose."""


class UsageError(EngineError):
    """The caller asked for something that cannot be: a wrong flag, field or file."""


class NotReadyError(EngineError):
    """The machine, a server or an endpoint is not ready for what was asked."""


class CapabilityError(EngineError):
    """An introspection call that cannot be answered.

    The sandbox raises it in the model's code as the built-in exception named by `kind`.
    """

    def __init__(self, kind: str, message: str) -> None:
        """Keep the built-in exception name (`kind`, e.g. "ValueError") beside the message."""
        super().__init__(message)
        self.kind = kind


class InvestigationError(EngineError):
    """Ends one investigation; its siblings go on."""


class ChatError(InvestigationError):
    """The endpoint gave no usable completion."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        is_transient: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        """Keep the HTTP status (None: no answer at all) and whether asking again may help."""
        super().__init__(message)
        self.status = status
        self.is_transient = is_transient
        self.retry_after_s = retry_after_s


class ContextOverflowError(ChatError):
    """The endpoint refused the request because it does not fit the model's window."""


class SandboxError(InvestigationError):
    """The host side of the sandbox failed; not the model's doing."""


class TrunkLostError(InvestigationError):
    """Infrastructure ended the investigation whose beginning this one was to share."""


class DrainedError(EngineError):
    """The run is being stopped: the investigation stays as it stands, to be taken up again."""


class RunError(EngineError):
    """Ends the whole run."""


class JournalError(RunError):
    """An event could not be made durable."""


@contextmanager
def boundary(error_type: type[EngineError], what: str) -> Generator[None]:
    """Turn any foreign exception raised inside into `error_type`, saying `what` was being done.

    An `EngineError` passes through untouched; so does everything that is not an `Exception`
    (cancellation, interrupts).
    """
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        detail = str(error) or type(error).__name__
        raise error_type(f"{what}: {detail}") from error
