"""Form fields of the notebook: what is wrong is named, with the remedy."""

from pathlib import Path

import pytest

from engine.cli.notebook import choose
from engine.errors import UsageError


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("deadline", "tomorrow", "DEADLINE: 'tomorrow' is no duration; write it as 11h30m"),
        ("replicates", 0, "REPLICATES is 0"),
        ("phase_script", "phase1b_early.py", "Did you mean phase1b_early_heritage.py"),
        ("quantization", "5bit", "QUANTIZATION is '5bit'"),
    ],
)
def test_a_field_that_is_wrong_is_named(
    field: str, value: str | int, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        choose(**{field: value}, work_dir=tmp_path)  # pyright: ignore[reportArgumentType] - one field
    assert words in str(caught.value)
