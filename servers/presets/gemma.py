"""Gemma-2 2B it.

Source: config.json of google/gemma-2-2b-it, as collected in serving-gpu.md section 1; the refusal
of float16: vLLM 0.33 config/model.py (serving-gpu.md fact 3).
"""

from servers.model import Architecture, Method, ModelPreset, Variant

_REPO = "google/gemma-2-2b-it"
_RED_HAT = "RedHatAI/gemma-2-2b-it"

GEMMA_2B = ModelPreset(
    key="gemma-2-2b",
    title="Gemma 2 2B it",
    repo=_REPO,
    architecture=Architecture(
        n_layers=26,
        hidden=2304,
        intermediate=9216,
        n_heads=8,
        n_kv_heads=4,
        head_dim=256,
        vocab=256_000,
        is_tied=True,
        n_norms_per_layer=4,
        context_tokens=8192,
        sliding_window_tokens=4096,
    ),
    n_parameters=2_614_341_888,
    licence="Gemma Terms of Use",
    is_gated=True,
    needs_wide_dtype=True,
    has_system_role=False,
    variants=(
        Variant(precision="fp16", method=Method.PLAIN, repo=_REPO, is_gated=True),
        Variant(precision="8bit", method=Method.FP8, repo=f"{_RED_HAT}-FP8"),
        Variant(precision="8bit", method=Method.W8A16, repo=f"{_RED_HAT}-quantized.w8a16"),
        Variant(precision="4bit", method=Method.W4A16, repo=f"{_RED_HAT}-quantized.w4a16"),
        Variant(
            precision="4bit", method=Method.AWQ, repo="RichardErkhov/google_-_gemma-2-2b-it-awq"
        ),
    ),
    notes=(
        "vLLM refuses float16 for it; where there is no bfloat16 only float32 is left (9.7 GiB)",
        "its chat template has no system role",
    ),
    source="config.json; serving-gpu.md section 1 (2026-11-22)",
)

PRESETS = (GEMMA_2B,)
