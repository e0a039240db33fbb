"""The commands of scripts/, with a stand-in for Python that only writes down what it was asked."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[2]
_PROJECT = '[project]\nname = "x"\n[tool.ruff]\npreview = false\n'

_PYTHON = """\
#!/bin/sh
case "$1 $2" in
    *fcntl*) exec "$REAL_PYTHON" "$@" ;;
    "-c "*) exit "${UNFIT:-0}" ;;
    "--version "*) echo "Python 3.11.0" ;;
    "-m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python" && echo "venv" >>"$CALLS" ;;
    "-m pip") [ "$3" = --version ] && exit
        echo "$*" >>"$CALLS"
        if [ "${MEETING:-}" ]; then echo here >"$MEETING/pip" && read -r _ <"$MEETING/go"; fi
        exit "${PIP_STATUS:-0}" ;;
    "-m pytest") echo "$*" >>"$CALLS"
        case "$*" in *"-m vllm"*) exit "${VLLM_STATUS:-0}" ;; esac
        exit "${TESTS_STATUS:-0}" ;;
    "-m engine.run") echo "$*" >>"$CALLS" ;;
esac
"""


class Checkout:
    """A copy of the scripts in a directory of their own, with the stand-in first on PATH."""

    def __init__(self, root: Path) -> None:
        self.root = root / "checkout"
        self._calls = root / "calls"
        self._path = root / "bin"
        shutil.copytree(_REPOSITORY / "scripts", self.root / "scripts")
        self.declare(_PROJECT)
        for name in ("python3", "python"):
            self.stand_in(self._path / name)

    def declare(self, text: str) -> None:
        (self.root / "pyproject.toml").write_text(text)

    def run(self, name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        begun = self.begin(name, *arguments, **variables)
        said, warned = begun.communicate()
        return subprocess.CompletedProcess(begun.args, begun.returncode, said, warned)

    def begin(self, name: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": f"{self._path}:/usr/bin:/bin",
            "CALLS": str(self._calls),
            "PYTHON": "python3",
            "REAL_PYTHON": sys.executable,
            **variables,
        }
        argv = [str(self.root / "scripts" / name), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, env=environment, stdout=pipe, stderr=pipe, text=True)

    def stand_in(self, path: Path) -> None:
        """Put the stand-in for Python at `path`."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(_PYTHON)
        path.chmod(stat.S_IRWXU)

    def calls(self) -> list[str]:
        """What Python was asked since the last look."""
        said = self._calls.read_text().splitlines() if self._calls.exists() else []
        self._calls.unlink(missing_ok=True)
        return said


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_first_install_makes_the_environment_and_fills_it(checkout: Checkout) -> None:
    assert checkout.run("install").returncode == 0
    made, filled = checkout.calls()
    assert made == "venv"
    assert filled.endswith(f"--editable {checkout.root}")


def test_the_second_install_does_nothing(checkout: Checkout) -> None:
    checkout.run("install")
    checkout.calls()
    assert checkout.run("install").returncode == 0
    assert checkout.calls() == []


def test_extras_add_to_what_is_installed(checkout: Checkout) -> None:
    checkout.run("install", "dev")
    checkout.calls()
    checkout.run("install", "analysis,dev")
    assert checkout.calls()[0].endswith(f"{checkout.root}[dev,analysis]")


def test_a_plain_install_after_one_with_extras_does_nothing(checkout: Checkout) -> None:
    checkout.run("install", "dev,analysis")
    checkout.calls()
    checkout.run("install")
    assert checkout.calls() == []


def test_a_failed_install_is_repeated_in_the_same_environment(checkout: Checkout) -> None:
    failed = checkout.run("install", PIP_STATUS="1")
    assert failed.returncode == 3
    assert "needs a network" in failed.stderr
    checkout.calls()
    assert checkout.run("install").returncode == 0
    assert [call.split()[:3] for call in checkout.calls()] == [["-m", "pip", "install"]]


def test_a_changed_dependency_is_installed_with_the_same_extras(checkout: Checkout) -> None:
    checkout.run("install", "dev")
    checkout.calls()
    checkout.declare(_PROJECT.replace('"x"', '"x"\ndependencies = ["y"]'))
    checkout.run("install")
    assert checkout.calls()[0].endswith("[dev]")


def test_a_changed_setting_of_a_tool_installs_nothing(checkout: Checkout) -> None:
    checkout.run("install")
    checkout.calls()
    checkout.declare(_PROJECT.replace("false", "true"))
    checkout.run("install")
    assert checkout.calls() == []


def test_a_checkout_that_was_moved_gets_a_new_environment(checkout: Checkout) -> None:
    checkout.run("install")
    checkout.calls()
    checkout.root = checkout.root.rename(checkout.root.with_name("elsewhere"))
    checkout.run("install")
    assert checkout.calls()[0] == "venv"


def test_without_a_fit_python_the_remedy_is_named(checkout: Checkout) -> None:
    refused = checkout.run("install", UNFIT="1")
    assert refused.returncode == 3
    assert "Python 3.11" in refused.stderr
    assert "PYTHON=/path/to/python" in refused.stderr
    assert not (checkout.root / ".venv").exists()


def test_a_python_with_a_space_in_its_path_can_be_named(checkout: Checkout) -> None:
    python = checkout.root / "my own" / "python"
    checkout.stand_in(python)
    assert checkout.run("install", PYTHON=str(python)).returncode == 0
    assert checkout.calls()[0] == "venv"


def test_of_two_first_installs_at_once_one_waits_for_the_other_and_does_nothing(
    checkout: Checkout,
) -> None:
    for name in ("pip", "go"):
        os.mkfifo(checkout.root / name)
    first = checkout.begin("install", MEETING=str(checkout.root))
    (checkout.root / "pip").read_text()
    second = checkout.begin("install")
    assert second.stderr is not None
    said = second.stderr.readline()
    (checkout.root / "go").write_text("go\n")
    assert [each.communicate() and each.returncode for each in (first, second)] == [0, 0]
    assert "Another scripts/install is at work" in said
    made, filled = checkout.calls()
    assert made == "venv"
    assert filled.startswith("-m pip install")


def test_start_installs_and_hands_its_arguments_on(checkout: Checkout) -> None:
    assert checkout.run("start", "phases", "--json").returncode == 0
    assert checkout.calls()[-1] == "-m engine.run phases --json"


def test_the_tests_leave_out_vllm_and_say_so(checkout: Checkout) -> None:
    ended = checkout.run("test", "tests/chat", "-k", "x y")
    assert ended.returncode == 0
    assert "scripts/test --all" in ended.stdout
    (asked,) = [call for call in checkout.calls() if call.startswith("-m pytest")]
    assert asked.endswith("-m not vllm tests/chat -k x y")


def test_all_runs_the_vllm_tests_after_the_others(checkout: Checkout) -> None:
    assert checkout.run("test", "--all").returncode == 0
    first, second = [call for call in checkout.calls() if call.startswith("-m pytest")]
    assert first.endswith("-m not vllm")
    assert second.endswith("-n 0 -m vllm")


@pytest.mark.parametrize(
    ("tests", "vllm", "expected"),
    [
        (0, 1, 1),  # only those against vLLM fail
        (1, 0, 1),  # only the others fail
        (2, 0, 2),  # interrupted
        (0, 5, 0),  # no test against vLLM was asked for
        (5, 0, 0),  # no other test was asked for
        (5, 1, 1),
        (5, 5, 5),  # no test at all
    ],
)
def test_all_fails_when_either_part_fails(
    checkout: Checkout, tests: int, vllm: int, expected: int
) -> None:
    ended = checkout.run("test", "--all", TESTS_STATUS=str(tests), VLLM_STATUS=str(vllm))
    assert ended.returncode == expected


def test_a_failure_is_the_exit_code_without_vllm_too(checkout: Checkout) -> None:
    assert checkout.run("test", TESTS_STATUS="1").returncode == 1
