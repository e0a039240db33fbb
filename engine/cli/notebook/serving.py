"""The servers of the notebook: started in the background, found again, stopped."""

from engine.cli.console import say
from engine.cli.notebook.choosing import Choice
from engine.cli.planning import Wanted
from engine.cli.serving import detached
from engine.cli.serving.choice import already_kept


def serve(choice: Choice) -> None:
    """Start the servers for `choice` in the background, unless they run; say how far they are.

    Raises:
        NotReadyError: a server did not become ready; the end of its log is in the message.
    """
    found = already_kept(_wanted(choice))
    if not found:
        kept = detached.start_detached(_flags(choice), tell=say)
        say(f"ready; logs: {kept.log_dir}")
        found = already_kept(_wanted(choice))
    for _, model in found:
        say(f"{model.endpoint.model} at {model.endpoint.url}")


def stop(choice: Choice) -> None:
    """End the servers of `choice`, if they run."""
    servings = {kept.pid: kept for kept, _ in already_kept(_wanted(choice))}
    for kept in servings.values():
        detached.stop(kept)
    say("every server has ended." if servings else "no server was running.")


def _wanted(choice: Choice) -> Wanted:
    return Wanted(models=",".join(choice.models), quantization=choice.quantization)


def _flags(choice: Choice) -> tuple[str, ...]:
    precision = ("--quantization", choice.quantization) if choice.quantization else ()
    return ("--models", ",".join(choice.models), *precision)
