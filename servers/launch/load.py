"""How busy a server on this machine is, asked from a thread."""

from time import monotonic

from engine.chat.load import Load, parse_load
from servers.launch.readiness import NoAnswerError, fetch_metrics


def read_load(port: int) -> Load | None:
    """Ask the server on this port; None if it does not answer. Blocks: for a thread."""
    try:
        text = fetch_metrics(port)
    except NoAnswerError:
        return None
    return parse_load(text, time_s=monotonic())
