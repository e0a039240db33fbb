"""Phases as their users list, read, check and write them."""

import json
from pathlib import Path

import pytest

from phases.load import list_phases
from tests.cli.program import bare_arm, endpoint, one_arm, run, two_arms
from tests.faults.asks import Ask

GOOD = """
title = "Mine"
asks = "What is printed?"
capabilities = ["memory"]

[[experiments]]
name = "first"
prompt = "first.md"
"""


def own(folder: Path, toml: str = GOOD, **prompts: str) -> Path:
    phase = folder / "mine"
    phase.mkdir()
    (phase / "phase.toml").write_text(toml)
    for name, text in ({"first": "Experiment: first. {{ max_turns }} turns."} | prompts).items():
        (phase / f"{name}.md").write_text(text)
    return phase


async def test_every_phase_is_listed_and_shown(tmp_path: Path) -> None:
    listed = await run("phases", "--json", cwd=tmp_path)
    assert sorted(json.loads(listed.out)) == sorted(list_phases())
    shown = await run("phases", "show", "1c", cwd=tmp_path)
    assert "from 'conclusions' on" in shown.out
    assert "purity: clean" in shown.out


async def test_a_phase_that_is_none_is_refused_with_the_nearest(tmp_path: Path) -> None:
    done = await run("phases", "show", "1c-modifed", cwd=tmp_path)
    assert done.code == 2
    assert "did you mean '1c-modified'" in done.err


async def test_a_phase_of_ones_own_is_checked_and_run(tmp_path: Path) -> None:
    own(tmp_path)
    checked = await run("phases", "check", "mine", cwd=tmp_path)
    assert checked.code == 0, checked.err
    async with endpoint() as server:
        done = await run("run", "--phase", "mine", *bare_arm(server), "--out", "out", cwd=tmp_path)
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [phase["key"] for phase in manifest["phases"]] == ["mine"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"first.md"', '"second.md"', "second.md"),
        ('title = "Mine"', 'titel = "Mine"', "line 2: titel: there is no such field. Did you mean"),
        ("[[experiments]]", "[[experiment]]", "experiments"),
        ('title = "Mine"\n', "", "title: is missing"),
        ('name = "first"', 'name = "first"\nmax_turns = 0', "line 8: experiments.0.max_turns"),
        ('title = "Mine"', 'title = "Mine"\nmax_seconds = inf', "max_seconds"),
        ('name = "first"', 'name = "first"\nmax_seconds = inf', "experiments.0.max_seconds"),
        ('title = "Mine"', "title = Mine", "not valid TOML"),
        ("[[exp", '[heritage]\ndocuments = "true"\nbegins = "last"\n[[exp', "'last'"),
        ("[[exp", '[heritage]\ndocuments = "mine"\nbegins = "first"\n[[exp', "line 7"),
        ('["memory"]', '["memory", "heritage"]', "[heritage]"),
        ('["memory"]', "[]", "has none"),
        (
            'prompt = "first.md"',
            'prompt = "first.md"\n[[experiments]]\nname = "first"\nprompt = "first.md"',
            "two experiments are called 'first'",
        ),
        (
            'prompt = "first.md"',
            'prompt = "first.md"\nhas_code = false\nrequires = { min_findings = 2 }',
            "requires what only code can do",
        ),
    ],
)
async def test_a_malformed_phase_is_refused_by_file_line_and_remedy(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    assert old in GOOD
    own(tmp_path, GOOD.replace(old, new))
    done = await run("phases", "check", "mine", cwd=tmp_path)
    assert done.code == 2, done.err
    assert words in done.err
    assert "mine" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("field", "remedy"),
    [
        ('key = "other"', "line 2: key: the key of a phase is the name of its folder"),
        ('texts = { system = "Hello." }', "line 2: texts: what the engine itself says is the same"),
    ],
)
async def test_what_no_phase_states_is_refused_with_where_it_comes_from(
    field: str, remedy: str, tmp_path: Path
) -> None:
    own(tmp_path, f"\n{field}{GOOD}")
    done = await run("phases", "check", "mine", cwd=tmp_path)
    assert done.code == 2, done.err
    assert remedy in " ".join(done.err.split())


async def test_a_folder_that_cannot_be_a_key_is_refused_in_words(tmp_path: Path) -> None:
    own(tmp_path).rename(tmp_path / "My Phase")
    done = await run("phases", "check", "My Phase", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "My Phase: the name of a folder is the key of its phase and must" in done.err
    assert "lower-case letters, digits, - and _" in " ".join(done.err.split())
    assert "^[" not in done.err


async def test_a_phase_that_windows_notepad_wrote_is_read(tmp_path: Path) -> None:
    folder = own(tmp_path)
    for file in folder.iterdir():
        file.write_text(file.read_text(), encoding="utf-8-sig")
    done = await run("phases", "check", "mine", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "\ufeff" not in str(json.loads(done.out))


async def test_a_prompt_on_documents_is_read_from_its_file(tmp_path: Path) -> None:
    more = 'prompt = "first.md"\nprompt_on_documents = "more.md"'
    own(tmp_path, GOOD.replace('prompt = "first.md"', more), more="Read them.")
    done = await run("phases", "check", "mine", "--json", cwd=tmp_path)
    assert json.loads(done.out)["experiments"][0]["prompt_on_documents"] == "Read them."
    shown = await run("phases", "check", "mine", cwd=tmp_path)
    assert "with documents:\n\nRead them." in shown.out


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("Go on for {{ turns }} turns.", "max_turns"),
        ("Go on {% if %}.", "first.md"),
        ("  \n", "is empty"),
    ],
)
async def test_a_prompt_that_cannot_be_rendered_is_refused(
    prompt: str, words: str, tmp_path: Path
) -> None:
    own(tmp_path, first=prompt)
    done = await run("phases", "check", "mine", cwd=tmp_path)
    assert done.code == 2, done.err
    assert words in done.err


async def test_a_phase_without_experiments_is_refused(tmp_path: Path) -> None:
    own(tmp_path, GOOD.partition("[[")[0])
    done = await run("run", "--phase", "mine", cwd=tmp_path)
    assert done.code == 2, done.err
    assert "[[experiments]]" in done.err or "experiments: is missing" in done.err


async def test_a_phase_that_gives_secrets_away_is_told_run_and_left_out(tmp_path: Path) -> None:
    own(tmp_path, first="Experiment: first. Think of the heritage.")
    checked = await run("phases", "check", "mine", cwd=tmp_path)
    assert checked.code == 1
    assert "VIOLATED" in checked.out
    async with endpoint() as server:
        done = await run(
            "compare", "--phase", "mine", *two_arms(server), "--out", "out", cwd=tmp_path
        )
    assert done.code == 0, done.err
    assert "mine is not pure" in done.err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {arm["impure"] for arm in summary["models"].values()} == {1}
    assert {arm["turns"] for arm in summary["models"].values()} == {0}


async def test_an_arm_that_was_shown_a_secret_while_it_ran_is_left_out(tmp_path: Path) -> None:
    def leaking(_ask: Ask) -> str:
        return "```python\nprint('heri' + 'tage', 'EXPERIMENT_COMPLETE')\n```"

    async with endpoint(reply=leaking) as server:
        await run("run", "1a", *one_arm(server), "--out", "out", cwd=tmp_path)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["models"]["a"]["impure"] == 1
    (case,) = summary["investigations"]
    assert case["leaks"][0]["place"] == "output"
    assert case["leaks"][0]["found"] == "heritage"


async def test_documents_of_ones_own_are_granted_and_recorded(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "only-one.md").write_text("# Only one\n\nSomething was written here.")
    async with endpoint() as server:
        arguments = ("run", "1b", *one_arm(server), "--heritage", "docs", "--out", "out")
        done = await run(*arguments, cwd=tmp_path)
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["documents"]["true"]["names"] == ["only-one"]


async def test_a_directory_without_documents_is_refused(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    async with endpoint() as server:
        arguments = ("run", "1b", *one_arm(server), "--heritage", "docs", "--out", "out")
        done = await run(*arguments, cwd=tmp_path)
    assert done.code in {2, 3}, done.err
    assert "docs" in done.err
    assert not (tmp_path / "out").exists()
