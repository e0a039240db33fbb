"""JSON of a chat completion, reduced to what is sent and what is read. Pure."""

import msgspec

from engine.chat import ChatRequest
from engine.transcript import Conversation, Usage


class Reply(msgspec.Struct, frozen=True):
    """What is kept of an answer."""

    text: str
    finish_reason: str
    usage: Usage


class _Sampling(msgspec.Struct, frozen=True):
    model: str
    temperature: float
    top_p: float
    max_tokens: int
    seed: int


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Body(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class _Counted(msgspec.Struct):
    count: int | None = None


_DECODER = msgspec.json.Decoder(_Body)
_UNKNOWN = "unknown"


def encode(request: ChatRequest, *, served_model: str, has_system_role: bool = True) -> bytes:
    """Return the body of the request; the messages are joined, never encoded again."""
    sampling = _Sampling(
        model=served_model,
        temperature=request.temperature,
        top_p=request.top_p,
        max_tokens=request.max_tokens,
        seed=request.seed,
    )
    head = msgspec.json.encode(sampling)
    return b'%b,"messages":%b}' % (
        head[:-1],
        request.conversation.encoded(has_system_role=has_system_role),
    )


def encode_count(
    conversation: Conversation, *, served_model: str, has_system_role: bool = True
) -> bytes:
    """Return the body of a question for the tokens of a prompt, as vLLM's /tokenize takes it."""
    return b'{"model":%b,"messages":%b}' % (
        msgspec.json.encode(served_model),
        conversation.encoded(has_system_role=has_system_role),
    )


def decode_count(body: bytes) -> int | None:
    """Return the tokens that /tokenize counted; None where the answer has no count."""
    try:
        return msgspec.json.decode(body, type=_Counted).count
    except ValueError:
        return None


def decode(body: bytes) -> Reply:
    """Return the first choice of an answer.

    A null content is an empty text: the server spent the tokens on something that is not content.

    Raises:
        ValueError: the body is no chat completion; the message says in which respect.
    """
    try:
        answer = _DECODER.decode(body)
    except UnicodeDecodeError:
        answer = _DECODER.decode(body.decode(errors="replace"))
    if not answer.choices:
        message = "the answer has no choices"
        raise ValueError(message)
    choice = answer.choices[0]
    return Reply(
        text=choice.message.content or "",
        finish_reason=choice.finish_reason or _UNKNOWN,
        usage=_usage(answer.usage or _Usage()),
    )


def _usage(counted: _Usage) -> Usage:
    details = counted.prompt_tokens_details or _Details()
    return Usage(
        prompt_tokens=counted.prompt_tokens or 0,
        completion_tokens=counted.completion_tokens or 0,
        cached_tokens=details.cached_tokens or 0,
    )
