"""How busy the servers of a run are, as events."""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress

import msgspec

from engine.chat.replica import Replica
from engine.chat.served import Served
from engine.cli.ticking import every
from engine.errors import JournalError
from engine.events import LoadSeen
from engine.record import Record

_EVERY_S = 5.0
_FIRST_S = 1.0


@contextmanager
def loads_recorded(record: Record, backends: Mapping[str, Served]) -> Generator[None]:
    """Record the load of every server now and then, where it has changed, until the block ends."""
    seen: dict[str, LoadSeen] = {}

    def look() -> None:
        for model, backend in backends.items():
            for replica in backend.replicas:
                load = _seen(model, replica)
                if seen.get(load.url) != load:
                    seen[load.url] = load
                    record.append(msgspec.structs.replace(load, time=time.time()))

    def look_while_it_can_be_recorded() -> None:
        with suppress(JournalError):  # whoever waits for the journal ends the run
            look()

    with every(_EVERY_S, look_while_it_can_be_recorded, first_s=_FIRST_S):
        yield


def _seen(model: str, replica: Replica) -> LoadSeen:
    """Return the load of one server, at no time."""
    gate, load = replica.gate, replica.load
    return LoadSeen(
        time=0.0,
        model=model,
        url=replica.url,
        n_in_flight=gate.n_in_flight,
        n_held=gate.n_waiting,
        n_running=load and load.n_running,
        n_waiting=load and load.n_waiting,
        kv_share=load and load.kv_share,
        prefix_share=load and load.prefix_share,
    )
