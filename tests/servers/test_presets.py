from math import isclose

import pytest

from engine.errors import NotReadyError, UsageError
from servers.model import Method, ModelPreset, Variant
from servers.presets import (
    PRESETS,
    get_model_preset,
    list_available_models,
    print_model_comparison,
    recommend_model_for_hardware,
    resolve,
)
from servers.weights import kv_bytes_per_token, n_parameters, weights_bytes

_KEYS = {
    "qwen2.5-1.5b",
    "qwen2.5-3b",
    "qwen2.5-7b",
    "qwen2.5-14b",
    "phi-3.5-mini",
    "llama-3.2-3b",
    "mistral-7b",
    "deepseek-coder-6.7b",
    "gemma-2-2b",
}


def _awq(preset: ModelPreset) -> Variant:
    return next(one for one in preset.variants if one.method is Method.AWQ)


def test_nine_models_are_known() -> None:
    assert set(PRESETS) == _KEYS


@pytest.mark.parametrize("key", sorted(_KEYS))
def test_shape_gives_the_exact_number_of_parameters(key: str) -> None:
    preset = PRESETS[key]
    assert n_parameters(preset.architecture) == preset.n_parameters


@pytest.mark.parametrize(
    ("key", "gb"),
    [
        ("qwen2.5-7b", 4.48 + 1.09),
        ("mistral-7b", 4.16),
        ("phi-3.5-mini", 2.28),
        ("gemma-2-2b", 2.23),
        ("llama-3.2-3b", 2.25),
    ],
)
def test_weights_are_within_1_percent_of_the_published_awq_files(key: str, gb: float) -> None:
    preset = PRESETS[key]
    assert isclose(weights_bytes(preset, _awq(preset)), gb * 1e9, rel_tol=0.01)


@pytest.mark.parametrize(
    ("key", "precision", "n_bytes"),
    [
        ("qwen2.5-1.5b", "4bit", 1_117_320_736),
        ("qwen2.5-3b", "4bit", 2_104_932_768),
        ("qwen2.5-3b", "8bit", 3_616_088_480),
    ],
)
def test_weights_are_within_1_percent_of_the_official_gguf_files(
    key: str, precision: str, n_bytes: int
) -> None:
    preset = PRESETS[key]
    (variant,) = (
        one for one in preset.variants if (one.method, one.precision) == (Method.GGUF, precision)
    )
    assert isclose(weights_bytes(preset, variant), n_bytes, rel_tol=0.01)


@pytest.mark.parametrize(
    ("key", "kib"),
    [
        ("qwen2.5-1.5b", 28),
        ("qwen2.5-3b", 36),
        ("qwen2.5-7b", 56),
        ("qwen2.5-14b", 192),
        ("phi-3.5-mini", 384),
        ("llama-3.2-3b", 112),
        ("mistral-7b", 128),
        ("deepseek-coder-6.7b", 512),
        ("gemma-2-2b", 104),
    ],
)
def test_kv_cache_per_token_is_as_the_reference_has_it(key: str, kib: int) -> None:
    assert kv_bytes_per_token(PRESETS[key].architecture) == kib << 10


@pytest.mark.parametrize("key", sorted(_KEYS))
def test_every_model_has_weights_at_every_precision(key: str) -> None:
    assert {one.precision for one in PRESETS[key].variants} == {"fp16", "8bit", "4bit"}


@pytest.mark.parametrize("key", sorted(_KEYS))
def test_hub_id_is_accepted_wherever_the_key_is(key: str) -> None:
    assert get_model_preset(PRESETS[key].repo) is PRESETS[key]
    assert resolve(PRESETS[key].repo.upper()) is PRESETS[key]


def test_unknown_preset_is_answered_with_near_names() -> None:
    with pytest.raises(UsageError, match=r"'qwen2\.5-3'.*'qwen2\.5-3b'"):
        get_model_preset("qwen2.5-3")


def test_recommendation_grows_with_the_machine() -> None:
    sizes = [
        recommend_model_for_hardware(key).n_parameters
        for key in ("cpu", "colab_free_t4", "colab_pro_plus_a100")
    ]
    assert sizes == sorted(sizes)


def test_recommendation_for_an_unknown_profile_names_near_ones() -> None:
    with pytest.raises(UsageError, match="colab_free_t4"):
        recommend_model_for_hardware("colab_free_t5")


def test_recommendation_for_a_machine_without_memory_says_so() -> None:
    from msgspec.structs import replace

    from servers.hardware import PROFILES

    with pytest.raises(NotReadyError, match="no preset fits"):
        recommend_model_for_hardware(replace(PROFILES["cpu"], host_bytes=1 << 30))


def test_available_models_are_those_whose_weights_fit() -> None:
    assert list_available_models(max_vram=2.0, quantization="4bit") == [
        "qwen2.5-1.5b",
        "qwen2.5-3b",
    ]
    assert list_available_models() == list(PRESETS)


def test_comparison_table_has_a_row_per_model() -> None:
    written: list[str] = []
    print_model_comparison(written.append)
    assert {line.split()[0] for line in written[1:]} == _KEYS
