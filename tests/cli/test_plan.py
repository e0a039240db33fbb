import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.cli.hardware import hardware
from engine.cli.plan import plan
from engine.cli.plan_forecast import Amount
from engine.cli.planning import Alternate, Wanted, find_models, find_precision
from engine.cli.presets import presets
from engine.errors import NotReadyError, UsageError
from engine.settings import Settings
from phases.load import get_phase
from servers.hardware import PROFILES
from servers.presets import PRESETS
from tests.engine.paces import make_pace

_T4_PAIR = Wanted(models="qwen2.5-3b,qwen2.5-7b", hardware="colab_free_t4")
_TOO_MUCH = Wanted(models="qwen2.5-7b,qwen2.5-14b", hardware="colab_free_t4", alternate="never")


def test_plan_as_json_has_the_stable_names(capsys: pytest.CaptureFixture[str]) -> None:
    plan(wanted=_T4_PAIR, as_json=True)
    found = json.loads(capsys.readouterr().out)
    names = {"model", "repo", "quantization", "dtype", "weights_bytes", "kv_bytes"}
    for server in found["servers"]:
        assert names | {"max_model_len", "argv"} <= server.keys()
    assert found["total_bytes"] == sum(one["total_bytes"] for one in found["servers"])


def test_plan_shows_the_total_against_the_card(capsys: pytest.CaptureFixture[str]) -> None:
    plan(wanted=_T4_PAIR)
    shown = capsys.readouterr().out
    assert "14.56 GiB" in shown
    assert "vllm serve Qwen/Qwen2.5-7B-Instruct-AWQ" in shown
    assert "investigations" in shown
    assert "\x1b[" not in shown


def test_plan_says_how_long_runs_on_such_servers_took(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    plan(wanted=_T4_PAIR)
    assert "Forecast: not known yet" in capsys.readouterr().out
    at = {"place": "vllm 4bit on Tesla T4", "phase": "comparison"}
    fingerprint = get_phase("comparison").fingerprint
    paces = [
        make_pace(**at, model=model, phase_fingerprint=fingerprint, each_s=3600.0)
        for model in ("qwen2.5-3b", "qwen2.5-7b")
    ]
    (tmp_path / "phaselab").mkdir()
    lines = b"\n".join(map(msgspec.json.encode, paces))
    (tmp_path / "phaselab" / "paces.jsonl").write_bytes(lines)
    plan(wanted=_T4_PAIR, amount=Amount(replicates=80, concurrency=8, deadline=3600.0))
    shown = capsys.readouterr().out
    assert "going by 40 investigations remembered" in shown
    assert "The deadline of 1 h 00 will come first. By then about" in shown
    assert "At once, at half a window each: " in shown


def test_plan_without_models_is_for_the_comparison_pair(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan(wanted=Wanted(hardware="h200"), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [one["model"] for one in found["servers"]] == ["qwen2.5-7b", "qwen2.5-3b"]


def test_set_that_does_not_fit_is_refused_with_what_would(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(NotReadyError, match=r"do not fit together.*one after another"):
        plan(wanted=_TOO_MUCH)
    assert "10. qwen2.5-7b at 4bit" not in capsys.readouterr().out


def test_refusal_as_json_has_the_arithmetic(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotReadyError):
        plan(wanted=_TOO_MUCH, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["servers"] == []
    assert found["steps"][-1]["short_bytes"] > 0
    assert {one["kind"] for one in found["would_fit"]} >= {"serial"}


def test_set_that_does_not_fit_takes_turns_and_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan(wanted=replace(_TOO_MUCH, alternate="auto"), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["mode"] == "serial"
    assert [one["model"] for one in found["servers"]] == ["qwen2.5-14b", "qwen2.5-7b"]
    assert found["total_bytes"] == max(one["total_bytes"] for one in found["servers"])
    assert "do not fit together" in found["notes"][0]
    assert not found["steps"][0]["fits"]
    assert found["steps"][-1]["name"] == "one after another, qwen2.5-7b"
    assert found["steps"][-1]["fits"]


@pytest.mark.parametrize("kind", ["sleep", "serial"])
def test_models_that_fit_take_turns_when_asked(
    kind: Alternate, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = Wanted(models="qwen2.5-3b,qwen2.5-7b", hardware="l4_ada", alternate=kind)
    plan(wanted=wanted, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["mode"] == kind
    assert len(found["servers"]) == 2


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(models="qwen2.5-3b", hardware="l4_ada", alternate="serial"), "nobody"),
        (Wanted(hardware="cpu", alternate="sleep"), "Use --alternate serial"),
    ],
)
def test_turns_that_cannot_be_taken_are_refused(wanted: Wanted, words: str) -> None:
    with pytest.raises(NotReadyError, match=words):
        plan(wanted=wanted)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(models="qwen2.5-9b"), r"no preset called 'qwen2\.5-9b'"),
        (Wanted(models=" , "), "no model is named"),
        (Wanted(models="qwen2.5-3b,Qwen/Qwen2.5-3B-Instruct"), "more than once"),
        (Wanted(hardware="colab_t4"), "--hardware.*colab_free_t4"),
        (Wanted(models="/no/such/place"), "no directory"),
    ],
)
def test_wrong_wish_names_the_remedy(wanted: Wanted, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan(wanted=wanted)


def test_plan_for_the_cpu_is_for_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    plan(wanted=Wanted(models="qwen2.5-1.5b", hardware="cpu"), as_json=True)
    assert json.loads(capsys.readouterr().out)["servers"][0]["runtime"] == "llama.cpp"


def test_model_of_the_environment_counts_without_a_flag() -> None:
    settings = Settings(model_name="Qwen/Qwen2.5-14B-Instruct")
    assert [one.key for one in find_models(None, settings)] == ["qwen2.5-14b"]
    assert [one.key for one in find_models("phi-3.5-mini", settings)] == ["phi-3.5-mini"]


@pytest.mark.parametrize(
    ("variable", "precision"),
    [("4bit", "4bit"), ("8BIT", "8bit"), ("none", "fp16"), ("fp16", "fp16"), (None, None)],
)
def test_precision_of_the_environment_is_honoured(
    variable: str | None, precision: str | None
) -> None:
    assert find_precision(None, Settings(quantization=variable)) == precision


def test_wrong_precision_of_the_environment_is_named() -> None:
    with pytest.raises(UsageError, match="AGI_QUANTIZATION is '3bit'"):
        find_precision(None, Settings(quantization="3bit"))


def test_presets_as_json_are_by_key(capsys: pytest.CaptureFixture[str]) -> None:
    presets(as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == PRESETS.keys()
    assert found["qwen2.5-3b"]["parameters"] == 3_085_938_688


def test_presets_as_a_table_have_a_row_each(capsys: pytest.CaptureFixture[str]) -> None:
    presets()
    shown = capsys.readouterr().out
    assert all(key in shown for key in PRESETS)


def test_hardware_as_json_is_by_key_and_has_this_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hardware(as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == PROFILES.keys() | {"detected"}
    assert found["detected"]["nearest"] in PROFILES
    assert found["colab_free_t4"]["gpus"][0]["capability"] == "7.5"


def test_hardware_as_a_table_has_a_row_each(capsys: pytest.CaptureFixture[str]) -> None:
    hardware()
    shown = capsys.readouterr().out
    assert all(key in shown for key in PROFILES)
    assert "this machine" in shown
