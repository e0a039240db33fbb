import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from servers.fit import LaunchPlan, Refusal, Request, fit
from servers.hardware import HardwareProfile
from servers.model import PRECISIONS, Precision
from servers.presets import PRESETS
from tests.servers.fitting import asked, machine, with_card

_CAPABILITIES = st.sampled_from([(7, 5), (8, 0), (8, 6), (8, 9), (9, 0)])
_SETS = st.lists(st.sampled_from(sorted(PRESETS)), min_size=1, max_size=4, unique=True)
_WISHES = st.sampled_from([None, *PRECISIONS])
_unhurried = settings(deadline=None)
_GIB = st.floats(min_value=4, max_value=160)


@st.composite
def _machines(draw: st.DrawFn) -> HardwareProfile:
    sizes = draw(st.lists(_GIB, min_size=1, max_size=3))
    others = draw(st.floats(min_value=0, max_value=3))
    ram_gib = draw(st.integers(min_value=4, max_value=256))
    return machine(*sizes, capability=draw(_CAPABILITIES), others_gib=others, ram_gib=ram_gib)


def _taken(plan: LaunchPlan, index: int) -> float:
    """Bytes of all servers on one card."""
    return sum(one.total_bytes / len(one.gpus) for one in plan.servers if index in one.gpus)


@_unhurried
@given(_machines(), _SETS, _WISHES)
def test_plan_never_goes_over_a_card(
    hardware: HardwareProfile, models: list[str], precision: Precision | None
) -> None:
    plan = fit(asked(hardware, *models, precision=precision))
    if isinstance(plan, Refusal):
        return
    for card in plan.cards:
        (index,) = card.indices
        reserved = card.others_bytes + card.contexts_bytes + card.margin_bytes
        assert _taken(plan, index) + reserved <= card.total_bytes + len(models)


@_unhurried
@given(_machines(), _SETS, _WISHES)
def test_start_check_of_vllm_passes_in_the_planned_order(
    hardware: HardwareProfile, models: list[str], precision: Precision | None
) -> None:
    """free >= total * utilisation, for each server beside those that are there already."""
    plan = fit(asked(hardware, *models, precision=precision))
    if isinstance(plan, Refusal):
        return
    for card in plan.cards:
        (index,) = card.indices
        free = card.total_bytes - card.others_bytes
        for one in (server for server in plan.servers if index in server.gpus):
            free -= card.contexts_bytes / len(card.models)
            assert free >= card.total_bytes * one.gpu_memory_utilization
            free -= one.total_bytes / len(one.gpus)


@_unhurried
@given(_machines(), _SETS, _WISHES)
def test_kv_cache_holds_a_full_window_of_every_model(
    hardware: HardwareProfile, models: list[str], precision: Precision | None
) -> None:
    plan = fit(asked(hardware, *models, precision=precision))
    if isinstance(plan, Refusal):
        return
    for one in plan.servers:
        assert one.kv_bytes // one.kv_bytes_per_token >= one.max_model_len
        assert one.n_investigations >= 1


@_unhurried
@given(
    st.lists(_GIB, min_size=1, max_size=2),
    st.floats(min_value=0, max_value=80),
    _CAPABILITIES,
    _SETS,
    _WISHES,
)
def test_more_memory_never_gives_less_context(
    sizes: list[float],
    more_gib: float,
    capability: tuple[int, int],
    models: list[str],
    precision: Precision | None,
) -> None:
    less = fit(asked(machine(*sizes, capability=capability), *models, precision=precision))
    larger = machine(*(size + more_gib for size in sizes), capability=capability)
    more = fit(asked(larger, *models, precision=precision))
    if isinstance(less, Refusal):
        return
    assert isinstance(more, LaunchPlan)
    before = {one.model: one.max_model_len for one in less.servers}
    after = {one.model: one.max_model_len for one in more.servers}
    assert all(after[model] >= before[model] for model in before)


@_unhurried
@given(_machines(), _GIB, _CAPABILITIES, _SETS, _WISHES)
def test_another_card_never_gives_less_context(
    hardware: HardwareProfile,
    more_gib: float,
    capability: tuple[int, int],
    models: list[str],
    precision: Precision | None,
) -> None:
    less = fit(asked(hardware, *models, precision=precision))
    if isinstance(less, Refusal):
        return
    more = fit(asked(with_card(hardware, more_gib, capability), *models, precision=precision))
    assert isinstance(more, LaunchPlan)
    before = {one.model: one.max_model_len for one in less.servers}
    after = {one.model: one.max_model_len for one in more.servers}
    assert all(after[model] >= before[model] for model in before)


@_unhurried
@given(_machines(), _SETS, _WISHES)
def test_refusal_names_a_set_that_fits_when_one_exists(
    hardware: HardwareProfile, models: list[str], precision: Precision | None
) -> None:
    refusal = fit(asked(hardware, *models, precision=precision))
    if isinstance(refusal, LaunchPlan):
        return
    exists = any(isinstance(fit(asked(hardware, key)), LaunchPlan) for key in PRESETS)
    assert bool(refusal.offers) == exists


@_unhurried
@given(_machines(), _SETS, _WISHES)
def test_what_a_refusal_offers_does_fit(
    hardware: HardwareProfile, models: list[str], precision: Precision | None
) -> None:
    refusal = fit(asked(hardware, *models, precision=precision))
    if isinstance(refusal, LaunchPlan):
        return
    for plan in (offer.plan for offer in refusal.offers):
        totals = {gpu.index: gpu.total_bytes for gpu in hardware.gpus}
        parts = [_taken(plan, index) for index in totals]
        if plan.mode != "together":
            alone = [msgspec.structs.replace(plan, servers=(one,)) for one in plan.servers]
            parts = [max(_taken(one, index) for one in alone) for index in totals]
            assert all(part <= total for part, total in zip(parts, totals.values(), strict=True))
        else:
            assert all(part <= total for part, total in zip(parts, totals.values(), strict=True))


@_unhurried
@given(st.integers(min_value=1, max_value=256), _SETS)
def test_plan_without_a_gpu_stays_within_the_ram(ram_gib: int, models: list[str]) -> None:
    hardware = machine(ram_gib=ram_gib)
    plan = fit(asked(hardware, *models))
    if isinstance(plan, LaunchPlan):
        assert plan.total_bytes <= hardware.host_bytes


@_unhurried
@given(_machines(), _SETS)
def test_same_request_gives_the_same_plan(hardware: HardwareProfile, models: list[str]) -> None:
    request: Request = asked(hardware, *models)
    assert fit(request) == fit(request)
