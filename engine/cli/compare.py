"""`compare [PHASE ...] --models A,B`: phases with several models at once. The main job."""

from engine.cli.console import say
from engine.cli.invocation import carry_out
from engine.cli.options import Options
from engine.cli.serving.choice import choose
from engine.cli.serving.twins import split_twins, twinned
from engine.cli.study import Study, settled
from engine.errors import UsageError
from engine.settings import read_settings
from phases.load import get_phases

MAIN_PHASE = "comparison"


def compare(*phase: str, models: str = "", options: Options | None = None) -> int:
    """Run phases with several models at once and compare them.

    Parameters
    ----------
    phase
        Keys of phases; `phases` lists them. Default: comparison.
    models
        A,B: names of the models to compare. Default: all that are there. A,A: one model twice,
        to see what the server scatters.
    """
    options = options or Options()
    named = read_settings().model_name
    if named and not models:
        say(f"AGI_MODEL_NAME={named} is ignored: a comparison names its models with --models A,B.")
    return carry_out(plan_comparison(phase, models, options))


def plan_comparison(keys: tuple[str, ...], models: str, options: Options) -> Study:
    """Return the study that a comparison makes; of the main phase where none is named.

    Raises:
        UsageError: a phase or model is unknown, or there are not two models.
    """
    is_default = not keys and not options.phase
    phases = get_phases((MAIN_PHASE,) if is_default else keys, options.phase)
    wanted, again = split_twins(names_in(models))
    serving = choose(options, wanted)
    serving = twinned(serving, serving.models if options.noise_floor else again)
    if len(serving.models) == 1:
        raise UsageError(
            f"compare: needs two models or more, and there is only {serving.models[0]!r}. "
            "Add an --endpoint NAME=URL, name it twice to see what the server scatters, or use "
            "`run PHASE --model NAME`."
        )
    return Study(serving=serving, phases=phases, options=settled(options))


def names_in(models: str) -> list[str]:
    """Return the names of models in a list that commas separate."""
    return [name.strip() for name in models.split(",") if name.strip()]
