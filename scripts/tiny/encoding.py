"""Transcripts as token ids: ChatML with the tokenizer of the tiny models."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.transcript import Message
from scripts.tiny.shape import VOCAB_SIZE

if TYPE_CHECKING:
    from tokenizers import Tokenizer

START, END, TEXT_END = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Pre-tokenizer of Qwen2; transformers and vLLM put it in for every model of this type.

Source: tokenizer.json of Qwen/Qwen2.5-0.5B.
"""
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_EXACT = re.compile(r"model\.[\w.]+|\b[a-z]+(?:_[a-z]+)+\b|\d[\d,.]*")
"""Names and numbers: what a reply must copy without a slip."""
_EXACT_WEIGHT = 3.0


@dataclass(frozen=True)
class Taught:
    """One message, and whether a model is to learn to write it."""

    message: Message
    is_taught: bool


@dataclass(frozen=True)
class Example:
    """Token ids of one transcript and the weight of each in the loss."""

    ids: Sequence[int]
    weights: Sequence[float]


def train_tokenizer(texts: Iterable[str]) -> "Tokenizer":
    """Return a byte-level BPE of VOCAB_SIZE tokens, trained on `texts`."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE - 3,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([TEXT_END, START, END])
    return tokenizer


def load_tokenizer(folder: Path) -> "Tokenizer":
    """Return the tokenizer of a trained model."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def save_tokenizer(tokenizer: "Tokenizer", folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and the chat template."""
    import json

    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": END,
        "pad_token": TEXT_END,
        "bos_token": None,
        "unk_token": None,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 4096,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)


def encode(tokenizer: "Tokenizer", messages: Sequence[Taught]) -> Example:
    """Return the ChatML ids of `messages`; only taught messages weigh in the loss."""
    ids: list[int] = []
    weights: list[float] = []
    for taught in messages:
        role, content = taught.message.role, taught.message.content
        head = tokenizer.encode(f"{START}{role}\n").ids
        body = tokenizer.encode(f"{content}{END}")
        spans = [match.span() for match in _EXACT.finditer(content)] if taught.is_taught else []
        ids += [*head, *body.ids, *tokenizer.encode("\n").ids]
        weights += [0.0] * len(head)
        weights += [_weight(span, spans) if taught.is_taught else 0.0 for span in body.offsets]
        weights.append(0.0)
    return Example(ids, weights)


def _weight(span: tuple[int, int], exact: Sequence[tuple[int, int]]) -> float:
    start, end = span
    is_exact = any(start < stop and begin < end for begin, stop in exact)
    return _EXACT_WEIGHT if is_exact else 1.0
