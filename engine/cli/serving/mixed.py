"""Some models at endpoints that are given, and others on servers that are started."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from engine.cli.serving import Serving
from engine.endpoint import Endpoint
from engine.errors import NotReadyError


def mixed(there: Serving, here: Serving, models: Sequence[str]) -> Serving:
    """Return the serving of `models` by both, as one; those given are asked first.

    What is served here may have a shorter name than the one it was asked for by.

    Raises:
        NotReadyError: those here do not fit together.
    """
    if here.turns is not None:
        raise NotReadyError(
            f"{', '.join(here.models)} do not fit together here, and models that take turns cannot "
            "be compared with one that answers elsewhere all the time. Take one of them, or a "
            "coarser --quantization."
        )
    asked = iter(here.models)
    names = [name if name in there.models else next(asked) for name in models]

    @asynccontextmanager
    async def opened(log_dir: Path) -> AsyncGenerator[tuple[Endpoint, ...]]:
        async with there.open(log_dir) as given, here.open(log_dir) as started:
            found = dict(zip((*there.models, *here.models), (*given, *started), strict=True))
            yield tuple(found[model] for model in names)

    return Serving(
        kind=f"{there.kind}+{here.kind}",
        reason=f"{there.reason} {here.reason}",
        models=tuple(names),
        given=there.given,
        weights=here.weights,
        promised_bytes=here.promised_bytes,
        open=opened,
    )
