"""Remedies hold for a copy of the project and for an installed package alike."""

import importlib.metadata
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from engine.cli.checks import packages
from engine.cli.probing import opened_probes
from engine.errors import NotReadyError


def test_without_pyarrow_an_installed_package_is_told_the_extra() -> None:
    command = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from engine.errors import NotReadyError\n"
        "from engine.report.exports.parquet import _arrow\n"
        "try: _arrow()\n"
        "except NotReadyError as error: print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert "scripts/install export" in said.stdout
    assert "pip install 'phaselab[export]'" in said.stdout


def test_without_torch_an_installed_package_is_told_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.cli.probing.candidates", lambda: ())
    with opened_probes({}, log_dir=tmp_path, promised_bytes=0) as probing:
        assert "scripts/install interp" in probing.why_none
        assert "pip install 'phaselab[interp]'" in probing.why_none


def test_where_a_package_is_missing_an_installed_package_is_told_to_be_installed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = importlib.metadata.distribution

    def without_rich(name: str) -> importlib.metadata.Distribution:
        if name == "rich":
            raise PackageNotFoundError
        return real(name)

    monkeypatch.setattr("engine.cli.checks.distribution", without_rich)
    with pytest.raises(NotReadyError, match=r"scripts/install.*pip install phaselab"):
        packages()
