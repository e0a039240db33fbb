"""The flags that all commands which run investigations share."""

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from engine.cli.counts import Count, Limit, Whole
from engine.cli.duration import seconds
from engine.cli.planning import Alternate
from engine.sandbox import Tier
from servers.model import Precision

Display = Literal["auto", "rich", "bar", "plain", "log", "none"]
Deadline = Annotated[float | None, Parameter(converter=seconds, metavar="DURATION")]
Repeatable = Parameter(negative="", consume_multiple=False, show_default=False)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run, whatever is run."""

    endpoint: Annotated[tuple[str, ...], Repeatable] = ()
    """NAME=URL[,URL...][#MODEL]: use this OpenAI-compatible server as the arm NAME; MODEL is what
    the server calls the model, NAME if absent. Several URLs are replicas of one model.
    Repeatable."""
    checkpoint: Annotated[tuple[str, ...], Repeatable] = ()
    """NAME=DIR or NAME=OWNER/NAME[@REVISION]: directory with the config.json and safetensors of the
    weights that the endpoint NAME serves, or their repository on the hub, from which only what is
    asked about is read. Repeatable."""
    phase: Annotated[tuple[Path, ...], Repeatable] = ()
    """Folder of a phase of your own, run beside those named. Repeatable."""
    heritage: Path | None = None
    """Directory with Markdown files in place of the documents that phases with heritage grant."""
    wrong_heritage: Path | None = None
    """The same for phases that grant documents about another subject."""
    hardware: str | None = None
    """Profile of the machine to serve on (`hardware` lists them) in place of what is found."""
    quantization: Precision | None = None
    """Precision of models that are started. Default: AGI_QUANTIZATION, or the best that fits."""
    alternate: Alternate = "auto"
    """Models that take turns on this machine: one awake while the others sleep in RAM (sleep), or
    one started after the other has ended (serial). auto: only where they do not fit together."""
    vllm: Path | None = None
    """vLLM program to start models with, in place of the one that is found."""
    out: Path | None = None
    """Run directory; must be absent or empty. Default: runs/<time>-<phase>."""
    replicates: Count = 1
    """Investigations per model and phase, each with a seed of its own."""
    primary: str = "error_rate"
    """Measure that the verdict of a comparison is about, settled before the run; all others are
    judged together. A wrong name lists all."""
    until_mde: Annotated[float | None, Parameter(validator=Number(gt=0, lt=inf))] = None
    """In place of --replicates: as many as find a difference of this size in the primary measure
    (for shares 0.1 is ten percentage points) in 80 of 100 studies. At least 10 are carried out;
    from how far these scatter, the number of all follows, with no look at what they show."""
    max_replicates: Count = 100
    """With --until-mde: at most this many."""
    noise_floor: Annotated[bool, Parameter(negative="")] = False
    """Let every model investigate twice, as two arms with the same seeds: what these differ by is
    what the server scatters, and is shown beside every difference."""
    seed: Annotated[int, Whole, Parameter(validator=Number(gte=0, lt=2**31))] = 0
    """Seed of the study; all models get the same seeds."""
    share_prefix: Annotated[bool, Parameter(negative="")] = False
    """Carry out the experiments that phases have in common once per model and replicate, and let
    the phases branch off from there."""
    concurrency: Limit = None
    """Investigations at once, per model. Default: 64."""
    deadline: Deadline = None
    """Begin no turn later than this after the start (11h30m, 45m, 90s): what is under way is
    finished, and `resume` goes on with the rest."""
    max_turns: Limit = None
    """Turns of the whole run; then as at the deadline."""
    max_tokens: Limit = None
    """Prompt and completion tokens of the whole run; then as at the deadline."""
    display: Display = "auto"
    """Live progress. auto: rich in a terminal, bar in a notebook, plain otherwise."""
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False
    """Print the summary as JSON instead of a table."""
    dry_run: Annotated[bool, Parameter(negative="")] = False
    """Say what would be run, and run nothing."""
    allow_contained_only: Annotated[bool, Parameter(negative="")] = False
    """Run even where the sandbox can contain model code but not keep secrets from it."""
    config: Path | None = None
    """TOML file with values for these flags; those of one command alone in a table of its name."""


def minimum_tier(options: Options) -> Tier:
    """Return the weakest sandbox that a run with these flags accepts."""
    return Tier.CONTAINED_ONLY if options.allow_contained_only else Tier.SEALED
