"""The launcher's pure parts: flags, repairs, logs, load."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.chat.load import Load, parse_load
from servers.launch.flags import flag_value, with_flag, without_flag
from servers.launch.log import ServerLog
from servers.launch.measured import MeasuredStart, for_plan
from servers.launch.planned import starts_of
from servers.launch.repairs import shorten, use_less_of_the_card
from servers.launch.values import Obtained, ServerStart
from tests.servers.fitting import PAIR, asked, plan_of

WORDS = st.lists(st.sampled_from(["serve", "x", "--a", "--b=1", "7", "--dtype", "half"]))
METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 2.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
vllm:generation_tokens_total{engine="0",model_name="tiny"} 1200.0
vllm:generation_tokens_created{engine="0",model_name="tiny"} 1.7953993823392e+09
"""


def make_start(*argv: str, max_model_len: int | None = None, needs_bytes: int = 0) -> ServerStart:
    return ServerStart(
        model="m",
        argv=argv,
        environment={},
        max_model_len=max_model_len,
        needs_bytes=needs_bytes,
    )


def make_measured(*argv: str) -> MeasuredStart:
    flags = ("--max-num-seqs", "32", "--max-num-batched-tokens", "2048")
    return MeasuredStart(
        model="m",
        gpu="NVIDIA L4",
        argv=("some/weights", *flags, *argv),
        start_s=1.0,
        obtained=Obtained(activation_bytes=1),
        time=0.0,
    )


def make_log(path: Path, text: str) -> ServerLog:
    log = ServerLog(path)
    path.write_text(text)
    log.read()
    return log


@given(WORDS, st.sampled_from(["--dtype", "--new"]), st.text("abc123", min_size=1))
def test_a_flag_that_was_set_has_its_value_once(words: list[str], flag: str, value: str) -> None:
    changed = with_flag(words, flag, value)
    assert flag_value(changed, flag) == value
    assert changed.count(flag) == 1
    assert without_flag(changed, flag, has_value=True) == without_flag(words, flag, has_value=True)


@given(WORDS)
def test_a_switch_is_set_once(words: list[str]) -> None:
    changed = with_flag(with_flag(words, "--enforce-eager"), "--enforce-eager")
    assert changed.count("--enforce-eager") == 1


def test_both_spellings_of_a_flag_are_replaced() -> None:
    assert with_flag(("a", "--port=1", "--port", "2"), "--port", "3") == ("a", "--port", "3")


@pytest.mark.parametrize(
    ("tokens", "expected"), [(5000, 4992), (2048, 2048), (2000, None), (8192, None)]
)
def test_a_context_is_shortened_to_what_fits_if_that_is_useful(
    tokens: int, expected: int | None
) -> None:
    match = re.match(r"(?P<tokens>\d+)", str(tokens))
    assert match is not None
    repaired = shorten(make_start("serve", "m", max_model_len=8192), match)
    assert (repaired and repaired.max_model_len) == expected


@pytest.mark.parametrize(("needs_gib", "is_sound"), [(11.9, True), (12.5, False)])
def test_less_of_the_card_is_taken_only_if_the_plan_fits(needs_gib: float, is_sound: bool) -> None:  # noqa: FBT001 - a parameter of the case
    match = re.match(r"(?P<free>[\d.]+)/(?P<total>[\d.]+)", "12.10/14.56")
    assert match is not None
    start = make_start("--gpu-memory-utilization", "0.9", needs_bytes=int(needs_gib * 2**30))
    repaired = use_less_of_the_card(start, match)
    assert (repaired is not None) is is_sound


def test_a_log_is_read_from_where_this_start_begins(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("ValueError: of an earlier start\n")
    log = ServerLog(path)
    with path.open("a") as file:
        file.write("Starting to load model x...\n")
    assert log.read()
    assert log.state() == "load"
    assert log.errors() == ""


def test_a_log_that_was_put_aside_is_read_from_the_new_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("of earlier starts\n" * 10)
    log = ServerLog(path)
    path.write_text("Starting to load model x...\n")
    assert log.read()
    assert log.state() == "load"


def test_the_noise_of_a_log_is_not_shown(tmp_path: Path) -> None:
    text = 'INFO: Route: /v1/models\nINFO: "GET /health HTTP/1.1" 200\nRuntimeError: no\n\n'
    assert make_log(tmp_path / "log", text).tail() == "RuntimeError: no"


def test_causes_are_told_before_consequences(tmp_path: Path) -> None:
    text = "ValueError: the cause\n" * 2 + "RuntimeError: Engine core initialization failed.\n"
    errors = make_log(tmp_path / "log", text).errors().splitlines()
    assert errors[0] == "ValueError: the cause"
    assert len(errors) == 2


def test_load_is_read_from_the_metrics() -> None:
    load = parse_load(METRICS, time_s=10.0)
    assert load
    assert (load.n_running, load.n_waiting, load.kv_share) == (3, 2, 0.25)
    assert load.generated_tokens == 1200


def test_tokens_per_second_are_counted_between_two_looks() -> None:
    earlier = parse_load(METRICS, time_s=10.0)
    later = Load(n_running=0, n_waiting=0, kv_share=0, generated_tokens=1500, time_s=12.0)
    assert later.tokens_per_s(earlier) == 150
    assert later.tokens_per_s(None) == 0


def test_a_restarted_server_that_counts_from_zero_generates_nothing_negative() -> None:
    earlier = parse_load(METRICS, time_s=10.0)
    later = Load(n_running=0, n_waiting=0, kv_share=0, generated_tokens=5, time_s=12.0)
    assert later.tokens_per_s(earlier) == 0


def test_a_plan_becomes_starts_in_its_order() -> None:
    plan = plan_of(asked("colab_free_t4", *PAIR))
    starts = starts_of(plan, program=Path("/opt/vllm"), inherited={"PATH": "/bin"}, api_key="k")
    assert [start.model for start in starts] == ["qwen2.5-7b", "qwen2.5-3b"]
    assert starts[0].argv[:2] == ("/opt/vllm", "serve")
    assert starts[0].environment["VLLM_API_KEY"] == "k"
    assert starts[0].environment["PATH"] == "/bin"
    assert starts[0].needs_bytes > starts[1].needs_bytes
    assert "--port" not in starts[0].argv


def test_a_measured_start_tells_its_cards_and_how_its_weights_were_stored() -> None:
    plain, other = for_plan(
        [
            make_measured(),
            make_measured("--quantization", "fp8", "--tensor-parallel-size", "2"),
        ]
    )
    assert (plain.is_online_fp8, plain.n_gpus) == (False, 1)
    assert (other.is_online_fp8, other.n_gpus) == (True, 2)
