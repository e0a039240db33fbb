"""Phi-3.5-mini Instruct.

Source: config.json of microsoft/Phi-3.5-mini-instruct, as collected in serving-gpu.md section 1;
the 4096-token default: vLLM 0.33 config/model.py (LongRoPE rule).
"""

from servers.model import Architecture, Method, ModelPreset, Variant

_REPO = "microsoft/Phi-3.5-mini-instruct"

PHI_MINI = ModelPreset(
    key="phi-3.5-mini",
    title="Phi-3.5 mini Instruct (3.8B)",
    repo=_REPO,
    architecture=Architecture(
        n_layers=32,
        hidden=3072,
        intermediate=8192,
        n_heads=32,
        n_kv_heads=32,
        head_dim=96,
        vocab=32_064,
        is_tied=False,
        context_tokens=131_072,
        rope="LongRoPE over an original window of 4096 tokens",
    ),
    n_parameters=3_821_079_552,
    licence="MIT",
    variants=(
        Variant(precision="fp16", method=Method.PLAIN, repo=_REPO),
        Variant(precision="8bit", method=Method.ONLINE_FP8, repo=_REPO),
        Variant(
            precision="8bit", method=Method.FP8, repo="neuralmagic/Phi-3.5-mini-instruct-FP8-KV"
        ),
        Variant(precision="4bit", method=Method.AWQ, repo="thesven/Phi-3.5-mini-instruct-awq"),
        Variant(
            precision="4bit", method=Method.GPTQ, repo="thesven/Phi-3.5-mini-instruct-GPTQ-4bit"
        ),
    ),
    notes=(
        "vLLM serves only 4096 tokens unless the context length is given, which a plan always does",
        "384 KiB of KV cache per token: ten times that of qwen2.5-3b",
    ),
    source="config.json; serving-gpu.md section 1 (2026-11-22)",
)

PRESETS = (PHI_MINI,)
