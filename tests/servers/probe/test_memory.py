"""Which probes fit the RAM that is free, and in which number format."""

import msgspec
import pytest

from engine.introspection.checkpoint import Checkpoint, open_checkpoint
from servers.fit import LaunchPlan, Request, fit, fit_in_turn
from servers.hardware import HardwareProfile, get_profile, this_cpu
from servers.hardware.values import GIB
from servers.presets import PRESETS
from servers.probe.memory import least_bytes, plan_probes, probe_bytes, promised_bytes
from tests.servers.probe.real import directory_of

BIG: dict[str, object] = {
    "num_hidden_layers": 36,
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_attention_heads": 16,
    "vocab_size": 151_936,
}
"""Qwen2.5-3B, source: its config.json."""


def machine(free_gib: float) -> HardwareProfile:
    others = round((64 - free_gib) * GIB)
    return msgspec.structs.replace(this_cpu(), host_bytes=64 * GIB, host_others_bytes=others)


@pytest.fixture(scope="module")
def tiny() -> Checkpoint:
    return open_checkpoint(directory_of("tiny-s"))


def test_the_finest_format_that_fits_all_is_taken(tiny: Checkpoint) -> None:
    plan = plan_probes([tiny, tiny], machine(60))
    assert plan
    assert plan.dtype == "float32"
    assert plan.total_bytes == 2 * probe_bytes(tiny, width=4)


def test_a_coarser_format_is_taken_where_the_finest_does_not_fit(tiny: Checkpoint) -> None:
    # 10 % of 64 GiB and one GiB are spared; half a byte less than float32 takes is not enough.
    fine = probe_bytes(tiny, width=4) / GIB + 7.4
    plan = plan_probes([tiny], machine(fine - 1e-4))
    assert plan
    assert plan.dtype == "bfloat16"
    assert plan_probes([tiny], machine(fine + 1e-4)) == msgspec.structs.replace(
        plan, dtype="float32", total_bytes=probe_bytes(tiny, width=4)
    )


def test_nothing_is_planned_where_no_format_fits(tiny: Checkpoint) -> None:
    least = least_bytes([tiny], machine(8)) / GIB
    assert plan_probes([tiny], machine(least - 1e-4)) is None
    assert plan_probes([tiny], machine(least + 1e-4))


def pair() -> Request:
    presets = tuple(PRESETS[key] for key in ("qwen2.5-3b", "qwen2.5-7b"))
    free = machine(60)
    card = get_profile("local_4090")
    hardware = msgspec.structs.replace(card, host_bytes=free.host_bytes)
    return Request(presets=presets, hardware=hardware)


def test_servers_that_sleep_may_still_take_the_ram_of_their_weights() -> None:
    plan = fit_in_turn(pair(), "sleep")
    assert isinstance(plan, LaunchPlan)
    weights = [server.weights_bytes for server in plan.servers]
    assert len(weights) == 2
    assert promised_bytes(plan) == sum(weights)


def test_servers_that_stay_on_a_gpu_take_no_more_ram() -> None:
    for plan in (fit(pair()), fit_in_turn(pair(), "serial")):
        assert isinstance(plan, LaunchPlan)
        assert promised_bytes(plan) == 0


def test_a_pass_with_gradients_is_counted_beside_the_weights(tiny: Checkpoint) -> None:
    big = msgspec.structs.replace(tiny, config={**tiny.config, **BIG})
    grown = probe_bytes(big, width=4) - probe_bytes(tiny, width=4)
    # 36 layers x 256 tokens x (14 x 2048 + 6 x 11008 + 4 x 16 x 256), and 3 x 256 x vocabulary.
    assert 4.3e9 < grown < 4.8e9


def test_shapes_that_a_configuration_does_not_tell_count_nothing(tiny: Checkpoint) -> None:
    bare = msgspec.structs.replace(tiny, config={"hidden_size": None})
    assert probe_bytes(bare, width=4) == GIB + 4 * tiny.n_values
