"""Every known failure of a start: repaired where that is sound, else one readable error."""

from pathlib import Path

import msgspec
import pytest

from engine.errors import NotReadyError
from servers.fake_vllm.texts import failure_keys
from servers.launch.failures import FAILURES
from servers.launch.flags import flag_value
from servers.launch.values import Patience, ServerStart
from servers.launcher import launch
from tests.servers.launch.starts import PATIENCE, Told, alive_in, make_start

REPAIRED = {
    "bf16": ("--dtype", "half"),
    "cache_blocks": ("--enforce-eager", None),
    "out_of_memory": ("--enforce-eager", None),
    "model_len": ("--max-model-len", "4096"),
    "native_len": ("--max-model-len", "4096"),
    "free_memory": ("--gpu-memory-utilization", "0.83"),
}
READABLE = {
    "driver": r"older than the CUDA version.*install vllm",
    "no_device": r"finds no GPU.*--build cpu",
    "no_metadata": r"cannot find itself.*install vllm --build cpu",
    "no_weights": r"no such weights.*repository id",
    "offline": r"cannot be downloaded.*local directory",
    "gated": r"gated.*HF_TOKEN",
    "disk": r"disk is full.*HF_HOME",
    "config": r"damaged.*Download",
    "dtype": r"number format.*precision",
    "head_dim": r"attention of this shape.*head dimension",
    "no_avx512": r"no AVX-512.*--quantization fp16",
    "crash": r"ended with exit code 139",
    "killed": r"ended with exit code 137 \(killed from outside",
    "mute": r"could not complete one token \(HTTP 500.*EngineCore",
}
ACCIDENTS = ("profiling", "port")


async def start_and_stop(
    folder: Path, start: ServerStart, patience: Patience = PATIENCE
) -> tuple[Told, int | None]:
    """Launch one server; return what was told and the window of its endpoint."""
    told = Told()
    async with launch(
        [start], log_dir=folder / "logs", state_dir=folder / "state", tell=told, patience=patience
    ) as endpoints:
        return told, endpoints[0].max_model_len


def fill_card(start: ServerStart, *, needs_gib: float) -> ServerStart:
    argv = (*start.argv, "--gpu-memory-utilization", "0.9")
    return msgspec.structs.replace(start, argv=argv, needs_bytes=int(needs_gib * 2**30))


@pytest.mark.parametrize("fault", REPAIRED)
async def test_a_known_failure_is_repaired(tmp_path: Path, fault: str) -> None:
    start = fill_card(make_start(tmp_path, fault=fault), needs_gib=8)
    told, _ = await start_and_stop(tmp_path, start)
    assert told.states()[-2:] == ["ready", "stopped"]
    assert told.states().count("repairing") == 1
    flag, value = REPAIRED[fault]
    assert f"{flag} {value}" if value else flag in told.details("repairing")
    assert alive_in(tmp_path) == []


@pytest.mark.parametrize("fault", ["model_len", "native_len"])
async def test_a_shorter_context_is_said_by_the_endpoint(tmp_path: Path, fault: str) -> None:
    _, window = await start_and_stop(tmp_path, make_start(tmp_path, fault=fault))
    assert window == 4096


@pytest.mark.parametrize("fault", ACCIDENTS)
async def test_an_accident_of_the_moment_is_tried_again(tmp_path: Path, fault: str) -> None:
    told, _ = await start_and_stop(tmp_path, make_start(tmp_path, fault=fault, n_starts=1))
    assert "repairing" in told.states()
    assert told.states()[-2:] == ["ready", "stopped"]


@pytest.mark.parametrize("fault", READABLE)
async def test_what_cannot_be_repaired_is_one_readable_error(tmp_path: Path, fault: str) -> None:
    with pytest.raises(NotReadyError, match=f"(?s){READABLE[fault]}") as caught:
        await start_and_stop(tmp_path, make_start(tmp_path, fault=fault))
    assert str(tmp_path / "logs" / "small.log") in str(caught.value)
    assert alive_in(tmp_path) == []


@pytest.mark.parametrize("fault", ACCIDENTS)
async def test_an_accident_that_stays_is_tried_again_once_and_then_told(
    tmp_path: Path, fault: str
) -> None:
    told = Told()
    with pytest.raises(NotReadyError, match="did not start"):
        async with launch(
            [make_start(tmp_path, fault=fault)],
            log_dir=tmp_path,
            state_dir=tmp_path,
            tell=told,
            patience=PATIENCE,
        ):
            pytest.fail("it must not be entered")
    assert told.states().count("repairing") == 1


async def test_a_card_that_others_fill_is_not_shared_below_the_plan(tmp_path: Path) -> None:
    start = fill_card(make_start(tmp_path, fault="free_memory"), needs_gib=13)
    with pytest.raises(NotReadyError, match="other programs hold memory"):
        await start_and_stop(tmp_path, start)


async def test_a_context_too_short_to_be_useful_is_no_repair(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="too small for one request"):
        await start_and_stop(tmp_path, make_start(tmp_path, fault="model_len", fitting_len=512))


async def test_a_start_that_falls_silent_is_ended(tmp_path: Path) -> None:
    patience = msgspec.structs.replace(PATIENCE, silent_s=1.0, term_s=0.2)
    with pytest.raises(NotReadyError, match=r"wrote nothing for \d+ s"):
        await start_and_stop(tmp_path, make_start(tmp_path, fault="hang"), patience)
    assert alive_in(tmp_path) == []


async def test_a_start_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    patience = msgspec.structs.replace(PATIENCE, start_s=1.0, term_s=0.2)
    with pytest.raises(NotReadyError, match=r"was not ready after \d+ s"):
        await start_and_stop(tmp_path, make_start(tmp_path, fault="chatter"), patience)
    assert alive_in(tmp_path) == []


async def test_a_missing_program_is_told_with_the_remedy(tmp_path: Path) -> None:
    start = msgspec.structs.replace(make_start(tmp_path), argv=("/no/such/vllm", "serve", "x"))
    with pytest.raises(NotReadyError, match=r"(?s)cannot be started.*install vllm.*--vllm PATH"):
        await start_and_stop(tmp_path, start)


async def test_a_flag_that_this_vllm_does_not_know_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match=r"(?s)does not know a flag.*--no-such-flag"):
        await start_and_stop(tmp_path, make_start(tmp_path, "small", "--no-such-flag"))


def test_every_text_of_the_fake_is_a_known_failure_or_a_crash() -> None:
    known = {failure.key for failure in FAILURES}
    assert set(failure_keys()) - known == {"crash"}


def test_every_known_failure_has_a_cause_and_a_remedy() -> None:
    assert all(failure.cause and failure.remedy for failure in FAILURES)
    assert flag_value(("--port=1",), "--port") == "1"
