"""Llama-3.2 3B Instruct.

Source: config.json of meta-llama/Llama-3.2-3B-Instruct, as collected in serving-gpu.md section 1.
"""

from servers.model import Architecture, Method, ModelPreset, Variant

_REPO = "meta-llama/Llama-3.2-3B-Instruct"
_RED_HAT = "RedHatAI/Llama-3.2-3B-Instruct"

LLAMA_3B = ModelPreset(
    key="llama-3.2-3b",
    title="Llama 3.2 3B Instruct",
    repo=_REPO,
    architecture=Architecture(
        n_layers=28,
        hidden=3072,
        intermediate=8192,
        n_heads=24,
        n_kv_heads=8,
        head_dim=128,
        vocab=128_256,
        is_tied=True,
        context_tokens=131_072,
        rope="llama3 scaling, x32 of 8192 tokens",
    ),
    n_parameters=3_212_749_824,
    licence="Llama 3.2 Community Licence",
    is_gated=True,
    variants=(
        Variant(precision="fp16", method=Method.PLAIN, repo=_REPO, is_gated=True),
        Variant(precision="8bit", method=Method.FP8, repo=f"{_RED_HAT}-FP8-dynamic"),
        Variant(precision="8bit", method=Method.W8A8, repo=f"{_RED_HAT}-quantized.w8a8"),
        Variant(precision="4bit", method=Method.AWQ, repo="casperhansen/llama-3.2-3b-instruct-awq"),
        Variant(precision="4bit", method=Method.AWQ, repo="AMead10/Llama-3.2-3B-Instruct-AWQ"),
        Variant(precision="4bit", method=Method.GPTQ, repo="shuyuej/Llama-3.2-3B-Instruct-GPTQ"),
    ),
    notes=("some community AWQ copies store an untied head and are 0.8 GB larger",),
    source="config.json; serving-gpu.md section 1 (2026-11-22)",
)

PRESETS = (LLAMA_3B,)
