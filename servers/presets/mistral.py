"""Mistral 7B Instruct v0.3.

Source: config.json of mistralai/Mistral-7B-Instruct-v0.3, as collected in serving-gpu.md section 1.
"""

from servers.model import Architecture, Method, ModelPreset, Variant

_REPO = "mistralai/Mistral-7B-Instruct-v0.3"
_RED_HAT = "RedHatAI/Mistral-7B-Instruct-v0.3"

MISTRAL_7B = ModelPreset(
    key="mistral-7b",
    title="Mistral 7B Instruct v0.3",
    repo=_REPO,
    architecture=Architecture(
        n_layers=32,
        hidden=4096,
        intermediate=14_336,
        n_heads=32,
        n_kv_heads=8,
        head_dim=128,
        vocab=32_768,
        is_tied=False,
        context_tokens=32_768,
    ),
    n_parameters=7_248_023_552,
    licence="Apache-2.0",
    variants=(
        Variant(precision="fp16", method=Method.PLAIN, repo=_REPO),
        Variant(precision="8bit", method=Method.FP8, repo=f"{_RED_HAT}-FP8"),
        Variant(precision="8bit", method=Method.W8A16, repo=f"{_RED_HAT}-quantized.w8a16"),
        Variant(precision="8bit", method=Method.W8A8, repo=f"{_RED_HAT}-quantized.w8a8"),
        Variant(precision="4bit", method=Method.AWQ, repo="solidrust/Mistral-7B-Instruct-v0.3-AWQ"),
        Variant(precision="4bit", method=Method.GPTQ, repo=f"{_RED_HAT}-GPTQ-4bit"),
    ),
    notes=(
        "its chat template refuses two messages of one role in a row",
        "the original repository may ask for a token",
    ),
    source="config.json; serving-gpu.md section 1 (2026-11-22)",
)

PRESETS = (MISTRAL_7B,)
