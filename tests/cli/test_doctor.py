"""`doctor`: what would run here, and is it ready."""

import json
import os
from asyncio import StreamReader, StreamWriter
from importlib.metadata import version
from pathlib import Path

import pytest

from engine.cli import hub_check
from servers.presets import PRESETS
from tests.chat.answering import listening
from tests.cli.program import ROOT, WEIGHTS, WITHIN_S, endpoint, one_arm, run, two_arms
from tests.hub import hub


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


async def findings(*flags: str | Path, cwd: Path) -> tuple[int, dict[str, dict[str, object]]]:
    done = await run("doctor", "--json", *flags, cwd=cwd)
    found = json.loads(done.out)
    return done.code, {item["subject"]: item for item in found["findings"]}


async def test_everything_that_the_main_job_needs_is_looked_at(tmp_path: Path) -> None:
    async with endpoint() as server:
        code, found = await findings(*two_arms(server), cwd=tmp_path)
    assert code == 0
    expected = (
        "python packages gpu vllm disk hub run_directory sandbox endpoint_a endpoint_b main_job"
    )
    assert [subject.replace(" ", "_") for subject in found] == expected.split()
    assert "serves 'served-model' with 32768 tokens" in str(found["endpoint b"]["detail"])
    assert "go together" in str(found["packages"]["detail"])
    assert not list(tmp_path.iterdir())


async def test_an_endpoint_that_is_down_makes_it_not_ready(tmp_path: Path) -> None:
    flags = ("--endpoint", "a=http://127.0.0.1:9/v1", "--endpoint", "b=http://127.0.0.1:9/v1")
    code, found = await findings(*flags, cwd=tmp_path)
    assert code == 3
    bad = [subject for subject, item in found.items() if not item["is_ready"]]
    assert bad == ["endpoint a", "endpoint b", "main job"]
    assert "127.0.0.1:9" in str(found["endpoint a"]["detail"])


async def test_a_wrong_configuration_is_one_finding_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text('[endpoints.a]\nurll = "http://h/v1"\n')
    code, found = await findings("--config", "lab.toml", cwd=tmp_path)
    assert code == 3
    assert "Did you mean 'url'?" in str(found["endpoints"]["detail"])


async def test_the_models_that_a_file_names_are_the_ones_that_have_to_be_ready(
    tmp_path: Path,
) -> None:
    (tmp_path / "lab.toml").write_text('models = "a,b"\n')
    async with endpoint() as server:
        flags = (*two_arms(server), "--endpoint", "c=http://127.0.0.1:9/v1")
        code, found = await findings(*flags, "--config", "lab.toml", cwd=tmp_path)
    assert code == 0, found
    assert "with a (32768 tokens), b (32768 tokens)." in str(found["main job"]["detail"])
    assert not found["endpoint c"]["is_ready"]


async def test_the_table_of_the_comparison_is_read_as_by_the_bare_command(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text('models = "a,b"\n[compare]\nmodels = "b,c"\n')
    async with endpoint() as server:
        flags = (*two_arms(server), *one_arm(server, "c"), "--config", "lab.toml")
        _, found = await findings(*flags, cwd=tmp_path)
    assert "with b (32768 tokens), c (32768 tokens)." in str(found["main job"]["detail"])


async def test_a_phase_that_a_file_names_takes_the_place_of_the_main_one(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(f'phase = ["{ROOT / "phases" / "1a"}"]\n')
    async with endpoint() as server:
        flags = (*two_arms(server), "--config", "lab.toml")
        _, found = await findings(*flags, cwd=tmp_path)
    assert str(found["main job"]["detail"]).startswith("phase 1a with a (")


async def test_models_that_are_none_make_it_not_ready(tmp_path: Path) -> None:
    async with endpoint() as server:
        code, found = await findings(*two_arms(server), "--models", "a,d", cwd=tmp_path)
    assert code == 3
    assert "--model 'd': not served here" in str(found["main job"]["detail"])


async def test_a_directory_that_cannot_be_written_makes_it_not_ready(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    async with endpoint() as server:
        code, found = await findings(*two_arms(server), "--out", "file/run", cwd=tmp_path)
    assert code == 3
    assert not found["run directory"]["is_ready"]


async def test_a_run_directory_that_is_taken_makes_it_not_ready(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "events.jsonl").touch()
    (tmp_path / "lab.toml").write_text('out = "out"\n')
    async with endpoint() as server:
        flags = (*two_arms(server), "--config", "lab.toml")
        code, found = await findings(*flags, cwd=tmp_path)
    assert code == 3
    assert "not empty" in str(found["run directory"]["detail"])


async def test_being_offline_is_no_fault(tmp_path: Path) -> None:
    async with endpoint() as server:
        code, found = await findings(*two_arms(server), cwd=tmp_path)
    assert code == 0
    assert "not reached" in str(found["hub"]["detail"])


async def test_a_hub_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(_silent) as address, endpoint() as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://{address}")
        code, found = await findings(*two_arms(server), cwd=tmp_path)
    assert code == 0
    assert "not reached within 4 s" in str(found["hub"]["detail"])


async def _silent(reader: StreamReader, _writer: StreamWriter) -> None:
    await reader.read()


async def test_the_hub_says_what_is_gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gated = {preset.repo: preset.key for preset in PRESETS.values() if preset.is_gated}
    monkeypatch.setattr(hub_check, "_WITHIN_S", WITHIN_S)
    with hub(tmp_path / "hub") as given_by:
        for preset in PRESETS.values():
            given_by.add(preset.repo, "config.json", b"{}")
        given_by.gated = set(gated)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", given_by.url)
        told = await hub_check.hub()
    given, _, kept_back = told.partition("; gated, and not granted to you: ")
    assert "open to you: qwen2.5-1.5b" in given
    assert "HF_TOKEN is not set" in kept_back
    assert gated
    assert all(key in kept_back for key in gated.values())


async def test_a_package_that_is_too_old_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "site" / "jinja2-1.0.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: jinja2\nVersion: 1.0\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    assert version("jinja2") != "1.0"
    async with endpoint() as server:
        code, found = await findings(*two_arms(server), cwd=tmp_path)
    assert code == 3
    assert "phaselab needs jinja2>=3.1.6, and 1.0 is installed" in str(found["packages"]["detail"])


async def test_a_place_for_weights_that_cannot_be_made_makes_it_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file" / "hub"))
    code, found = await findings("--hardware", "h100", cwd=tmp_path)
    assert code == 3
    assert "HF_HOME" in str(found["disk"]["detail"])


async def test_weights_on_disk_are_those_of_the_models_that_are_named(tmp_path: Path) -> None:
    flags = ("--hardware", "h100", "--models", "tiny-m,qwen2.5-1.5b", "--quantization", "fp16")
    _, found = await findings(*flags, cwd=tmp_path)
    assert "the main job fetches 2.88 GiB" in str(found["disk"]["detail"])


@pytest.mark.parametrize(("n_gib", "left"), [(1, "1.88 GiB"), (3, "none")])
async def test_weights_that_the_hubs_cache_has_are_not_fetched_once_more(
    n_gib: int, left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    sparse(tmp_path / "hub" / "models--Qwen--Qwen2.5-1.5B-Instruct" / "blobs" / "0a1b", n_gib << 30)
    flags = ("--hardware", "h100", "--models", "qwen2.5-1.5b", "--quantization", "fp16")
    _, found = await findings(*flags, cwd=tmp_path)
    assert f"the main job fetches {left}" in str(found["disk"]["detail"])


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("qwen2.5-1.5b-instruct-q4_k_m.gguf.0a1b.part", "0.28 GiB"),
        ("qwen2.5-1.5b-instruct-q4_k_m.gguf", "none"),
    ],
)
async def test_what_is_here_of_a_gguf_file_is_not_fetched_once_more(
    name: str, left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = tmp_path / "phaselab" / "gguf" / "Qwen--Qwen2.5-1.5B-Instruct-GGUF"
    sparse(store / name, 3 << 28)
    flags = ("--hardware", "cpu", "--models", "qwen2.5-1.5b", "--quantization", "4bit")
    _, found = await findings(*flags, cwd=tmp_path)
    assert f"the main job fetches {left}" in str(found["disk"]["detail"])


def sparse(path: Path, n_bytes: int) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    os.truncate(path, n_bytes)


async def test_weights_that_lie_here_are_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to(WEIGHTS)
    _, found = await findings("--hardware", "h100", "--models", "./mine", cwd=tmp_path)
    assert "fetches none" in str(found["disk"]["detail"])


async def test_models_that_ship_need_no_place_for_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file" / "hub"))
    flags = ("--hardware", "h100", "--models", "tiny-s,tiny-m")
    code, found = await findings(*flags, cwd=tmp_path)
    assert code == 0, found
    assert "fetches none" in str(found["disk"]["detail"])


@pytest.mark.parametrize("flags", [(), ("--hardware", "h100")])
async def test_a_place_for_weights_is_not_needed_where_none_are_fetched(
    flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file" / "hub"))
    async with endpoint() as server:
        code, found = await findings(*two_arms(server), *flags, cwd=tmp_path)
    assert found["disk"]["is_ready"]
    assert "fetches none" in str(found["disk"]["detail"])
    assert code == 0
