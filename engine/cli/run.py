"""`run PHASE --model NAME`: phases with one model."""

from engine.cli.invocation import carry_out
from engine.cli.options import Options
from engine.cli.serving.choice import choose
from engine.cli.serving.twins import twinned
from engine.cli.study import Study, settled
from engine.errors import UsageError
from engine.settings import read_settings
from phases.load import get_phases


def run(*phase: str, model: str | None = None, options: Options | None = None) -> int:
    """Run phases with one model.

    Parameters
    ----------
    phase
        Keys of phases; `phases` lists them.
    model
        Model to investigate. Default: AGI_MODEL_NAME, or the first that is there.
    """
    options = options or Options()
    phases = get_phases(phase, options.phase)
    if not phases:
        raise UsageError("run: needs a PHASE (`phases` lists them) or a --phase DIR of your own.")
    wanted = _named(model) or read_settings().model_name or choose(options, ()).models[0]
    serving = choose(options, (wanted,))
    if options.noise_floor:
        serving = twinned(serving, serving.models)
    elif options.until_mde is not None:
        raise UsageError("--until-mde compares: it needs `compare`, or --noise-floor beside it.")
    return carry_out(Study(serving=serving, phases=phases, options=settled(options)))


def _named(model: str | None) -> str | None:
    """Return the one model that the flag names.

    Raises:
        UsageError: it names none, or several.
    """
    if model is not None and (not model.strip() or "," in model):
        raise UsageError(
            f"--model {model!r}: expected the name of one model. Several are compared by "
            "`compare PHASE --models A,B`."
        )
    return model
