"""The two shapes that ship: Qwen2 architecture, small enough to be trained on one CPU core."""

from dataclasses import dataclass

HEAD_DIM = 32
"""Smallest head size that vLLM's CPU attention supports."""
MAX_POSITIONS = 4096
ROPE_THETA = 10_000.0
NORM_EPS = 1e-6
VOCAB_SIZE = 1152


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of one model."""

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int

    def config(self, *, end_id: int, pad_id: int) -> dict[str, object]:
        """Return the config.json of a checkpoint of this shape."""
        return {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": HEAD_DIM,
            "vocab_size": VOCAB_SIZE,
            "max_position_embeddings": MAX_POSITIONS,
            "rope_theta": ROPE_THETA,
            "rms_norm_eps": NORM_EPS,
            "hidden_act": "silu",
            "tie_word_embeddings": True,
            "use_sliding_window": False,
            "attention_dropout": 0.0,
            "initializer_range": 0.02,
            "bos_token_id": None,
            "eos_token_id": end_id,
            "pad_token_id": pad_id,
            "torch_dtype": "float16",
        }


SHAPES = {
    "tiny-s": Shape(name="tiny-s", hidden=128, layers=3, heads=4, kv_heads=2, intermediate=224),
    "tiny-m": Shape(name="tiny-m", hidden=160, layers=4, heads=5, kv_heads=5, intermediate=384),
}
