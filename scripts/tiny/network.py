"""The Qwen2 architecture in plain torch, with the tensor names of published checkpoints."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from scripts.tiny.shape import HEAD_DIM, NORM_EPS, ROPE_THETA, VOCAB_SIZE, Shape


def _rotary(length: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines, (length, HEAD_DIM) each."""
    frequency = ROPE_THETA ** -(torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    angle = torch.outer(torch.arange(length).float(), frequency).repeat(1, 2)
    return angle.cos(), angle.sin()


def _rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cosine + torch.cat([-second, first], -1) * sine


class Attention(nn.Module):
    """Causal self-attention with grouped keys and values."""

    def __init__(self, shape: Shape) -> None:
        """Make the four projections."""
        super().__init__()
        self.groups = shape.heads // shape.kv_heads
        self.q_proj = nn.Linear(shape.hidden, shape.heads * HEAD_DIM)
        self.k_proj = nn.Linear(shape.hidden, shape.kv_heads * HEAD_DIM)
        self.v_proj = nn.Linear(shape.hidden, shape.kv_heads * HEAD_DIM)
        self.o_proj = nn.Linear(shape.heads * HEAD_DIM, shape.hidden, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Return the mixed values; x: (batch, length, hidden)."""
        query, key, value = (
            project(x).unflatten(-1, (-1, HEAD_DIM)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        query, key = _rotate(query, cosine, sine), _rotate(key, cosine, sine)
        key, value = (y.repeat_interleave(self.groups, 1) for y in (key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Gated feed-forward network."""

    def __init__(self, shape: Shape) -> None:
        """Make the three projections."""
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.up_proj = nn.Linear(shape.hidden, shape.intermediate, bias=False)
        self.down_proj = nn.Linear(shape.intermediate, shape.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the transformed positions; x: (batch, length, hidden)."""
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """One decoder layer."""

    def __init__(self, shape: Shape) -> None:
        """Make both halves and their norms."""
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = FeedForward(shape)
        self.input_layernorm = nn.RMSNorm(shape.hidden, eps=NORM_EPS)
        self.post_attention_layernorm = nn.RMSNorm(shape.hidden, eps=NORM_EPS)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Return the residual stream after the layer; x: (batch, length, hidden)."""
        x = x + self.self_attn(self.input_layernorm(x), cosine, sine)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Embedding, layers, final norm."""

    def __init__(self, shape: Shape) -> None:
        """Make all parts."""
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCAB_SIZE, shape.hidden)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, eps=NORM_EPS)


class Network(nn.Module):
    """The causal language model; the output matrix is the embedding."""

    def __init__(self, shape: Shape) -> None:
        """Make the decoder and draw its weights from torch's current generator."""
        super().__init__()
        self.model = Decoder(shape)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02 if "embed" in name else shape.hidden**-0.5)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, ids: Tensor, wanted: Tensor) -> Tensor:
        """Return logits (n, vocabulary) of the positions that the mask `wanted` marks.

        ids, wanted: (batch, length).
        """
        cosine, sine = _rotary(ids.shape[1])
        x = self.model.embed_tokens(ids)
        for layer in self.model.layers:
            x = layer(x, cosine, sine)
        return self.model.norm(x[wanted]) @ self.model.embed_tokens.weight.T
