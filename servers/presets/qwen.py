"""Qwen2.5 Instruct, 1.5B to 14B.

Source: the config.json and LICENSE of each Qwen/Qwen2.5-*-Instruct repository and litgpt's
config.py, as collected in serving-gpu.md section 1; repository ids from xinference's model list,
seen 2026-11-22.
"""

from servers.model import Architecture, Method, ModelPreset, Precision, Variant

_SOURCE = "config.json of the Instruct repository; serving-gpu.md section 1 (2026-11-22)"
_APACHE = "Apache-2.0"
_RESEARCH = 'Qwen Research Licence: non-commercial, with the duty to say "Built with Qwen"'
_YARN = "plain; YaRN x4 reaches 131072 tokens at a loss on short text, so it stays off"


def _gguf(repo: str, precision: Precision, quant: str) -> Variant:
    return Variant(
        precision=precision, method=Method.GGUF, repo=f"{repo}-GGUF", pattern=f"*{quant}*.gguf"
    )


def _variants(size: str) -> tuple[Variant, ...]:
    repo = f"Qwen/Qwen2.5-{size}-Instruct"
    red_hat = f"RedHatAI/Qwen2.5-{size}-Instruct"
    return (
        Variant(precision="fp16", method=Method.PLAIN, repo=repo),
        Variant(precision="8bit", method=Method.FP8, repo=f"{red_hat}-FP8-dynamic"),
        Variant(precision="8bit", method=Method.GPTQ, repo=f"{repo}-GPTQ-Int8"),
        Variant(precision="8bit", method=Method.W8A8, repo=f"{red_hat}-quantized.w8a8"),
        Variant(precision="4bit", method=Method.AWQ, repo=f"{repo}-AWQ"),
        Variant(precision="4bit", method=Method.GPTQ, repo=f"{repo}-GPTQ-Int4"),
        _gguf(repo, "fp16", "fp16"),
        _gguf(repo, "8bit", "q8_0"),
        _gguf(repo, "4bit", "q4_k_m"),
    )


QWEN_1_5B = ModelPreset(
    key="qwen2.5-1.5b",
    title="Qwen2.5 1.5B Instruct",
    repo="Qwen/Qwen2.5-1.5B-Instruct",
    architecture=Architecture(
        n_layers=28,
        hidden=1536,
        intermediate=8960,
        n_heads=12,
        n_kv_heads=2,
        head_dim=128,
        vocab=151_936,
        is_tied=True,
        has_qkv_bias=True,
        context_tokens=32_768,
    ),
    n_parameters=1_543_714_304,
    licence=_APACHE,
    variants=_variants("1.5B"),
    source=_SOURCE,
)

QWEN_3B = ModelPreset(
    key="qwen2.5-3b",
    title="Qwen2.5 3B Instruct",
    repo="Qwen/Qwen2.5-3B-Instruct",
    architecture=Architecture(
        n_layers=36,
        hidden=2048,
        intermediate=11_008,
        n_heads=16,
        n_kv_heads=2,
        head_dim=128,
        vocab=151_936,
        is_tied=True,
        has_qkv_bias=True,
        context_tokens=32_768,
    ),
    n_parameters=3_085_938_688,
    licence=_RESEARCH,
    variants=_variants("3B"),
    source=_SOURCE,
)

QWEN_7B = ModelPreset(
    key="qwen2.5-7b",
    title="Qwen2.5 7B Instruct",
    repo="Qwen/Qwen2.5-7B-Instruct",
    architecture=Architecture(
        n_layers=28,
        hidden=3584,
        intermediate=18_944,
        n_heads=28,
        n_kv_heads=4,
        head_dim=128,
        vocab=152_064,
        is_tied=False,
        has_qkv_bias=True,
        context_tokens=32_768,
        rope=_YARN,
    ),
    n_parameters=7_615_616_512,
    licence=_APACHE,
    variants=_variants("7B"),
    source=_SOURCE,
)

QWEN_14B = ModelPreset(
    key="qwen2.5-14b",
    title="Qwen2.5 14B Instruct",
    repo="Qwen/Qwen2.5-14B-Instruct",
    architecture=Architecture(
        n_layers=48,
        hidden=5120,
        intermediate=13_824,
        n_heads=40,
        n_kv_heads=8,
        head_dim=128,
        vocab=152_064,
        is_tied=False,
        has_qkv_bias=True,
        context_tokens=32_768,
        rope=_YARN,
    ),
    n_parameters=14_770_033_664,
    licence=_APACHE,
    variants=_variants("14B"),
    source=_SOURCE,
)

PRESETS = (QWEN_1_5B, QWEN_3B, QWEN_7B, QWEN_14B)
