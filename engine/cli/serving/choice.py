"""Which way of serving is the best that is there."""

from collections.abc import Sequence

from engine.cli.options import Options
from engine.cli.planning import find_hardware
from engine.cli.serving import Serving
from engine.cli.serving.embedded import TINY_KEYS, embedded
from engine.cli.serving.given import given
from engine.cli.serving.launched import launched
from engine.errors import NotReadyError


def choose(options: Options, wanted: Sequence[str]) -> Serving:
    """Return how the `wanted` models are served; all that there are when none is named.

    Endpoints that are given come first, then vLLM on a GPU, then the models that ship.

    Raises:
        UsageError: an endpoint or a model name is wrong; the remedy is named.
        NotReadyError: the models do not fit this machine, or what serves them is not there.
    """
    if options.endpoint:
        return given(options, wanted)
    if wanted and set(wanted) <= set(TINY_KEYS):
        return embedded(options, wanted, why="they ship with the project")
    try:
        hardware = find_hardware(options.hardware)
        if not hardware.gpus and options.vllm is None:
            return embedded(
                options, wanted, why="no --endpoint is given and there is no NVIDIA GPU"
            )
        return launched(options, wanted, hardware)
    except NotReadyError as error:
        if wanted or options.hardware or options.vllm:
            raise
        return embedded(options, (), why=f"there is a GPU, but it cannot be used yet: {error}")
