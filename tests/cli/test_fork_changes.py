"""What a fork can change, and how the phase that comes of it is called."""

import pytest

from engine.branch import Trunk
from engine.cli.changes import Change, changed, parse_change
from engine.errors import UsageError
from engine.events import InvestigationStarted
from engine.phase import Phase
from phases.load import get_phase

START = InvestigationStarted(
    time=0, investigation="a.comparison.0", model="a", phase="comparison", replicate=0, seed=7
)


def forked(at: str | int, text: str) -> Phase:
    return changed(get_phase("comparison"), Trunk(START, ()), at, parse_change(text))


@pytest.mark.parametrize("said", ["0.5", "+0.5", " 0.50", "5e-1", ".5"])
def test_one_temperature_has_one_name_however_it_is_written(said: str) -> None:
    assert parse_change(f"temperature={said}") == Change("temperature", "0.5")
    phase = forked(2, f"temperature={said}")
    assert (phase.key, phase.sampling.temperature) == ("comparison-at-2-temperature-0_5", 0.5)


@pytest.mark.parametrize("said", ["0", "-0.0", "2", "1e-7", "0.1234567"])
def test_a_fork_of_any_temperature_can_be_read_back(said: str) -> None:
    phase = forked(2, f"temperature={said}")
    assert Phase.model_validate(phase.model_dump()) == phase


def test_a_fork_that_no_manifest_could_name_is_refused() -> None:
    with pytest.raises(UsageError, match="no fork can be called 'comparison-at-No Such'"):
        forked("No Such", "control")
