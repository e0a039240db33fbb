"""DeepSeek-Coder 6.7B Instruct.

Source: config.json of deepseek-ai/deepseek-coder-6.7b-instruct, as collected in serving-gpu.md
section 1.
"""

from servers.model import Architecture, Method, ModelPreset, Variant

_REPO = "deepseek-ai/deepseek-coder-6.7b-instruct"

DEEPSEEK_CODER = ModelPreset(
    key="deepseek-coder-6.7b",
    title="DeepSeek-Coder 6.7B Instruct",
    repo=_REPO,
    architecture=Architecture(
        n_layers=32,
        hidden=4096,
        intermediate=11_008,
        n_heads=32,
        n_kv_heads=32,
        head_dim=128,
        vocab=32_256,
        is_tied=False,
        context_tokens=16_384,
        rope="linear scaling x4",
    ),
    n_parameters=6_740_512_768,
    licence="DeepSeek Licence",
    variants=(
        Variant(precision="fp16", method=Method.PLAIN, repo=_REPO),
        Variant(precision="8bit", method=Method.ONLINE_FP8, repo=_REPO),
        Variant(
            precision="4bit",
            method=Method.AWQ,
            repo="TheBloke/deepseek-coder-6.7B-instruct-AWQ",
        ),
        Variant(
            precision="4bit",
            method=Method.GPTQ,
            repo="TheBloke/deepseek-coder-6.7B-instruct-GPTQ",
        ),
    ),
    notes=("512 KiB of KV cache per token: the dearest of all presets",),
    source="config.json; serving-gpu.md section 1 (2026-11-22)",
)

PRESETS = (DEEPSEEK_CODER,)
