"""Arms that are a model once more, asked at the same place: what they differ by is noise."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from engine.cli.options import Options
from engine.cli.serving import Serving
from engine.cli.serving.choice import choose
from engine.endpoint import Endpoint
from engine.errors import UsageError

_SUFFIX = "-again"
_MOST_OFTEN = 2


def split_twins(wanted: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the distinct names in `wanted`, and those that are named once more.

    Raises:
        UsageError: one is named more often than that.
    """
    once = tuple(dict.fromkeys(wanted))
    if crowd := [name for name in once if wanted.count(name) > _MOST_OFTEN]:
        raise UsageError(
            f"--models names {crowd[0]!r} {wanted.count(crowd[0])} times. Name it twice to see what"
            " the server scatters; for more investigations of it, raise --replicates."
        )
    return once, tuple(name for name in once if wanted.count(name) > 1)


def twinned(serving: Serving, arms: Iterable[str]) -> Serving:
    """Return `serving` with one more arm for the model of each of `arms`.

    Raises:
        UsageError: an arm has the name of such a twin.
    """
    twins = {f"{arm}{_SUFFIX}": arm for arm in arms}
    if taken := [name for name in serving.models if name in twins]:
        raise UsageError(
            f"{taken[0]!r}: so the second arm of {twins[taken[0]]!r} would be called, whose model "
            "investigates twice. Give the endpoint another NAME, or leave it out by --models."
        )
    return _with(serving, twins)


def chosen(
    options: Options,
    wanted: Sequence[str],
    twins: Mapping[str, str],
    endpoints: tuple[Endpoint, ...],
    names: Mapping[str, str],
) -> Serving:
    """Return how the arms in `wanted` are served; `twins`: name -> arm, of those that are one.

    `endpoints` are known already, see `choose`; `names`: by arm, what its model is called.
    """
    arms = dict.fromkeys(twins.get(name, name) for name in wanted)
    models = [names.get(arm, arm) for arm in arms]
    named = {name: twins[name] for name in wanted if name in twins}
    return _with(choose(options, tuple(models), endpoints), named)


def _with(serving: Serving, twins: Mapping[str, str]) -> Serving:
    if not twins:
        return serving

    @asynccontextmanager
    async def opened(log_dir: Path) -> AsyncGenerator[tuple[Endpoint, ...]]:
        async with serving.open(log_dir) as endpoints:
            found = {endpoint.model: endpoint for endpoint in endpoints}
            again = [msgspec.structs.replace(found[arm], model=twin) for twin, arm in twins.items()]
            yield (*endpoints, *again)

    return replace(serving, models=(*serving.models, *twins), open=opened, twins=twins)
