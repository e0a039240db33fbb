from math import isclose
from time import process_time

import pytest
from msgspec.structs import replace

from servers.fit import LaunchPlan, Measured, Refusal, Request, ServerPlan, fit
from servers.fit.memory import REST_BYTES
from servers.hardware import GIB, PROFILES
from servers.model import PRECISIONS, Method, Precision
from servers.presets import PRESETS
from tests.servers.fitting import PAIR, asked, machine, plan_of, refusal_of, with_card, with_driver

# Reference: serving-gpu.md section 3, "Fit of 3B + 7B on one GPU".
_TABLE: list[tuple[str, Precision, float, float, float, float]] = [
    ("colab_free_t4", "4bit", 7.11, 5.4, 60e3, 62e3),
    ("colab_pro_t4", "8bit", 11.47, 1.0, 11e3, 12e3),
    ("colab_pro_plus_a100", "fp16", 19.94, 17.0, 191e3, 198e3),
    ("l4_ada", "8bit", 11.47, 8.0, 90e3, 93e3),
    ("local_4090", "fp16", 19.94, 1.0, 11e3, 12e3),
    ("local_3090", "8bit", 11.47, 9.6, 108e3, 112e3),
]


@pytest.mark.parametrize(("profile", "precision", "weights", "kv", "of_7b", "of_3b"), _TABLE)
def test_3b_and_7b_are_as_in_the_reference_table(
    profile: str, precision: Precision, weights: float, kv: float, of_7b: float, of_3b: float
) -> None:
    seven, three = plan_of(asked(profile, *PAIR, precision=precision)).servers
    assert isclose((seven.weights_bytes + three.weights_bytes) / GIB, weights, rel_tol=0.05)
    assert isclose((seven.kv_bytes + three.kv_bytes) / GIB, kv, rel_tol=0.05)
    # The table gives whole thousands, rounded down.
    assert isclose(seven.kv_bytes / seven.kv_bytes_per_token, of_7b, rel_tol=0.05, abs_tol=999)
    assert isclose(three.kv_bytes / three.kv_bytes_per_token, of_3b, rel_tol=0.05, abs_tol=999)


def test_pair_on_the_free_t4_stays_under_15_gb_with_16k_context() -> None:
    plan = plan_of(asked("colab_free_t4", *PAIR))
    assert plan.total_bytes < 15e9
    assert {one.max_model_len for one in plan.servers} == {16_384}
    assert {one.dtype for one in plan.servers} == {"half"}
    assert all(4 <= one.n_investigations <= 8 for one in plan.servers)


@pytest.mark.parametrize("profile", sorted(PROFILES))
@pytest.mark.parametrize("key", sorted(PRESETS))
@pytest.mark.parametrize("precision", [None, *PRECISIONS])
def test_every_preset_on_every_profile_is_planned_or_refused_with_a_reason(
    profile: str, key: str, precision: Precision | None
) -> None:
    found = fit(asked(profile, key, precision=precision))
    if isinstance(found, Refusal):
        assert len(found.reason) > 40
        assert found.offers
    else:
        assert found.servers[0].max_model_len >= 4096


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_plan_of_all_models_takes_under_50_ms_of_processor_time(profile: str) -> None:
    """The best of three, since a busy machine makes every single one slower."""
    assert min(_time(asked(profile, *PRESETS)) for _ in range(3)) < 0.05


def _time(request: Request) -> float:
    begin = process_time()
    fit(request)
    return process_time() - begin


def test_largest_server_is_started_first() -> None:
    plan = plan_of(asked("colab_pro_plus_a100", "qwen2.5-1.5b", "qwen2.5-7b", "qwen2.5-3b"))
    assert [one.model for one in plan.servers] == ["qwen2.5-7b", "qwen2.5-3b", "qwen2.5-1.5b"]


def test_lone_server_lets_vllm_measure_and_neighbours_are_pinned() -> None:
    alone = plan_of(asked("l4_ada", "qwen2.5-3b")).servers[0]
    pair = plan_of(asked("l4_ada", *PAIR)).servers
    assert not alone.is_kv_pinned
    assert all(one.is_kv_pinned for one in pair)


def test_memory_of_other_processes_is_left_alone() -> None:
    free = plan_of(asked(machine(24), "qwen2.5-3b"))
    busy = plan_of(asked(machine(24, others_gib=6), "qwen2.5-3b"))
    assert free.total_bytes - busy.total_bytes == pytest.approx(6 * GIB, rel=0.01)
    assert busy.servers[0].is_kv_pinned


def test_gemma_runs_in_float32_where_there_is_no_bfloat16() -> None:
    server = plan_of(asked("colab_free_t4", "gemma-2-2b")).servers[0]
    assert (server.dtype, server.method) == ("float32", Method.PLAIN)
    assert isclose(server.weights_bytes / GIB, 9.74, rel_tol=0.01)


def test_gemma_in_4_bits_on_a_t4_is_refused_with_what_is_left() -> None:
    refusal = refusal_of(asked("colab_free_t4", "gemma-2-2b", precision="4bit"))
    assert "bfloat16" in refusal.reason
    assert refusal.offers[0].plan.servers[0].dtype == "float32"


def test_phi_is_always_given_its_context() -> None:
    server = plan_of(asked("l4_ada", "phi-3.5-mini")).servers[0]
    assert server.max_model_len == 16_384


@pytest.mark.parametrize(
    ("profile", "method"),
    [("colab_pro_t4", Method.GPTQ), ("l4_ada", Method.FP8), ("local_3090", Method.GPTQ)],
)
def test_8_bit_weights_suit_the_kernels_of_the_card(profile: str, method: Method) -> None:
    plan = plan_of(asked(profile, "qwen2.5-7b", precision="8bit"))
    assert plan.servers[0].method is method


def test_w8a8_is_avoided_on_blackwell() -> None:
    plan = plan_of(asked(machine(24, capability=(12, 0)), "llama-3.2-3b", precision="8bit"))
    assert plan.servers[0].method is Method.FP8


def test_precision_that_was_asked_for_is_kept_or_refused() -> None:
    refusal = refusal_of(asked("colab_free_t4", "qwen2.5-7b", precision="fp16"))
    assert "short" in refusal.reason
    assert refusal.offers[0].kind == "coarser"


def test_without_a_wish_the_larger_model_gives_up_precision_first() -> None:
    plan = plan_of(asked("colab_pro_t4", "qwen2.5-3b", "qwen2.5-14b"))
    chosen = {one.model: one.quantization for one in plan.servers}
    assert chosen["qwen2.5-14b"] == "4bit"
    assert any("precision" in note for note in plan.notes) == (len(set(chosen.values())) > 1)


def test_every_step_carries_its_arithmetic() -> None:
    for step in plan_of(asked("colab_pro_t4", *PAIR)).steps:
        one = step.tightest
        taken = one.others_bytes + one.contexts_bytes + one.margin_bytes
        assert one.total_bytes == taken + one.weights_bytes + one.working_bytes + one.kv_bytes
        assert step.fits == (one.kv_bytes >= one.kv_needed_bytes)


def test_set_that_does_not_fit_is_offered_asleep_and_one_by_one() -> None:
    refusal = refusal_of(asked("colab_pro_t4", "qwen2.5-7b", "qwen2.5-14b"))
    kinds = [one.kind for one in refusal.offers]
    assert kinds == ["sleep", "serial", "subset"]
    asleep = refusal.offers[0].plan
    assert all(one.has_sleep and one.is_kv_pinned for one in asleep.servers)


def test_sleep_is_not_offered_where_the_ram_would_not_hold_the_weights() -> None:
    refusal = refusal_of(asked("colab_free_t4", "qwen2.5-7b", "qwen2.5-14b"))
    assert "sleep" not in [one.kind for one in refusal.offers]


def test_context_that_was_asked_for_is_kept() -> None:
    plan = plan_of(asked("colab_free_t4", *PAIR, context_tokens=32_768))
    assert {one.max_model_len for one in plan.servers} == {32_768}


def test_context_beyond_the_model_is_refused() -> None:
    refusal = refusal_of(asked("h200", "qwen2.5-7b", context_tokens=65_536))
    assert "supports 32768 tokens" in refusal.reason
    assert refusal.offers


def test_fp8_kv_cache_halves_the_cost_of_a_token() -> None:
    plain = plan_of(asked("l4_ada", "qwen2.5-7b")).servers[0]
    small = plan_of(asked("l4_ada", "qwen2.5-7b", has_fp8_kv=True)).servers[0]
    assert small.kv_bytes_per_token * 2 == plain.kv_bytes_per_token


@pytest.mark.parametrize("profile", ["colab_free_t4", "colab_pro_plus_a100", "local_3090", "cpu"])
def test_fp8_kv_cache_is_refused_where_the_hardware_lacks_it(profile: str) -> None:
    refusal = refusal_of(asked(profile, "qwen2.5-3b", has_fp8_kv=True))
    assert "8.9" in refusal.reason
    assert refusal.offers


def test_old_driver_is_refused_with_the_version_that_is_needed() -> None:
    refusal = refusal_of(asked(with_driver(PROFILES["local_3090"], 470, 82), "qwen2.5-3b"))
    assert "470.82" in refusal.reason
    assert "525" in refusal.reason


def test_driver_of_cuda_12_gets_the_build_for_it() -> None:
    plan = plan_of(asked("colab_free_t4", "qwen2.5-3b"))
    assert plan.build == "cu12"
    assert any("--build cu12" in note for note in plan.notes)


def test_card_that_vllm_has_no_code_for_is_refused() -> None:
    refusal = refusal_of(asked(machine(32, capability=(7, 0)), "qwen2.5-3b"))
    assert "7.0" in refusal.reason


def test_two_models_on_two_cards_get_one_each() -> None:
    plan = plan_of(asked(machine(24, 24), *PAIR))
    assert sorted(one.gpus for one in plan.servers) == [(0,), (1,)]


def test_model_too_large_for_one_card_is_split_over_two() -> None:
    plan = plan_of(asked(machine(23.5, 23.5), "qwen2.5-14b", precision="fp16"))
    assert plan.servers[0].gpus == (0, 1)


def test_model_that_fits_one_card_is_not_split() -> None:
    plan = plan_of(asked(machine(23.5, 23.5), "qwen2.5-7b", precision="fp16"))
    assert len(plan.servers[0].gpus) == 1


def test_three_models_share_two_cards() -> None:
    plan = plan_of(asked(machine(24, 24), "qwen2.5-7b", "qwen2.5-3b", "qwen2.5-1.5b"))
    assert {one.gpus for one in plan.servers} == {(0,), (1,)}


def test_small_second_card_leaves_both_models_on_the_large_one() -> None:
    plan = plan_of(asked(machine(79, 3.8), *PAIR, precision="fp16"))
    assert [one.gpus for one in plan.servers] == [(0,), (0,)]


def test_number_format_suits_the_cards_that_are_used() -> None:
    both = with_card(machine(79, capability=(8, 0)), 14.56, (7, 5))
    server = plan_of(asked(both, "gemma-2-2b")).servers[0]
    assert (server.dtype, server.gpus) == ("bfloat16", (0,))


def test_card_that_is_not_used_does_not_decide_the_number_format() -> None:
    both = with_card(machine(23.5, capability=(8, 9)), 3.8, (7, 5))
    assert {one.dtype for one in plan_of(asked(both, *PAIR)).servers} == {"bfloat16"}


def test_weights_that_only_the_newer_card_computes_are_served_there() -> None:
    both = with_card(machine(79, capability=(8, 0)), 14.56, (7, 5))
    plan = plan_of(asked(both, "gemma-2-2b", precision="4bit"))
    assert plan.servers[0].quantization == "4bit"
    assert plan.hardware == both


def test_without_a_gpu_qwen_is_served_by_llama_cpp() -> None:
    server = plan_of(asked("cpu", "qwen2.5-3b")).servers[0]
    assert (server.runtime, server.method) == ("llama.cpp", Method.GGUF)
    assert server.pattern == "*q4_k_m*.gguf"


def test_vllm_can_be_asked_for_without_a_gpu() -> None:
    request = replace(asked("cpu", "qwen2.5-3b"), runtime="vllm")
    server = plan_of(request).servers[0]
    assert server.runtime == "vllm"
    assert server.max_num_batched_tokens >= server.max_model_len
    assert server.kv_bytes % GIB == 0


def test_what_was_measured_replaces_what_was_computed() -> None:
    before = plan_of(asked("l4_ada", "qwen2.5-3b")).servers[0]
    seen = Measured(
        repo=before.repo,
        gpu="NVIDIA L4",
        n_seqs=before.max_num_seqs,
        n_batched_tokens=before.max_num_batched_tokens,
        is_eager=before.is_eager,
        working_bytes=before.working_bytes - REST_BYTES + GIB,
    )
    after = plan_of(asked("l4_ada", "qwen2.5-3b", measured=(seen,))).servers[0]
    assert before.kv_bytes - after.kv_bytes == GIB


def _seen(server: ServerPlan, *, working_bytes: int) -> Measured:
    return Measured(
        repo=server.repo,
        gpu="GPU 0",
        n_seqs=server.max_num_seqs,
        n_batched_tokens=server.max_num_batched_tokens,
        is_eager=server.is_eager,
        working_bytes=working_bytes,
    )


def test_what_was_measured_last_counts() -> None:
    before = plan_of(asked(machine(24), "qwen2.5-3b")).servers[0]
    seen = [_seen(before, working_bytes=size * GIB) for size in (3, 2)]
    after = plan_of(asked(machine(24), "qwen2.5-3b", measured=tuple(seen))).servers[0]
    assert after.working_bytes == 2 * GIB + REST_BYTES


def test_measurement_of_plain_weights_says_nothing_of_those_turned_into_fp8() -> None:
    ada = machine(24, capability=(8, 9))
    before = plan_of(asked(ada, "deepseek-coder-6.7b", precision="8bit")).servers[0]
    assert before.method is Method.ONLINE_FP8
    seen = _seen(before, working_bytes=3 * GIB)
    again = asked(ada, "deepseek-coder-6.7b", precision="8bit", measured=(seen,))
    assert plan_of(again).servers[0] == before


def test_measurement_over_two_cards_says_nothing_of_one() -> None:
    before = plan_of(asked(machine(24), "qwen2.5-3b")).servers[0]
    seen = replace(_seen(before, working_bytes=3 * GIB), n_gpus=2)
    after = plan_of(asked(machine(24), "qwen2.5-3b", measured=(seen,))).servers[0]
    assert after == before


def test_more_sequences_run_where_there_is_room() -> None:
    small = plan_of(asked("colab_free_t4", "qwen2.5-1.5b")).servers[0]
    large = plan_of(asked("h200", "qwen2.5-1.5b")).servers[0]
    assert large.max_num_seqs > small.max_num_seqs
    assert isinstance(fit(asked("h200", *PRESETS)), LaunchPlan)
