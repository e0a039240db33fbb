"""The proof of what kill -9 costs takes investigations that two arms can share."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("number", ["3", "0", "-2", "many"])
def test_investigations_that_two_arms_cannot_share_are_refused(number: str) -> None:
    argv = [sys.executable, "-m", "scripts.prove_kills", "--runs", "0", "--investigations", number]
    refused = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    said = " ".join(refused.stderr.split())
    assert f"--investigations: {number!r}: two arms share them: 2, 4, 6 and so on" in said
