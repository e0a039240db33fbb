"""JSON of a chat completion, reduced to what is sent and what is read. Pure."""

import msgspec

from engine.chat import ChatRequest
from engine.transcript import Conversation, Usage


class ShapeError(ValueError):
    """An answer is whole and no chat completion: asked again, it would be paid for again."""


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


class _Part(msgspec.Struct):
    type: str
    text: str | None = None


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None


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
_LENGTH = "length"
_LENGTHS = frozenset({"max_tokens", "model_length"})
"""What some servers say in place of "length"."""


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
        ShapeError: the body is JSON and no chat completion; the message says in which respect.
        ValueError: it is no JSON, or has no choices.
    """
    answer = _answer(body)
    if not answer.choices:
        message = "the answer has no choices"
        raise ValueError(message)
    choice = answer.choices[0]
    return Reply(
        text=_text(choice.message.content),
        finish_reason=_finish_reason(choice.finish_reason),
        usage=_usage(answer.usage or _Usage()),
    )


def _answer(body: bytes) -> _Body:
    try:
        return _DECODER.decode(body)
    except UnicodeDecodeError:
        return _answer(body.decode(errors="replace").encode())
    except msgspec.ValidationError as error:
        msgspec.json.decode(body.decode(errors="replace"))  # raises where it is torn further on
        raise ShapeError(str(error)) from error


def _text(content: str | list[_Part] | None) -> str:
    """Return a content as text: of one in parts, what the parts of type text say."""
    if isinstance(content, list):
        return "".join(part.text or "" for part in content if part.type == "text")
    return content or ""


def _finish_reason(said: str | None) -> str:
    """Return why a reply ended, in OpenAI's words where the length ended it.

    Sources: Mistral API specification (2026), ChatCompletionChoice.finish_reason: `model_length`;
    Anthropic API reference (2026), Messages, stop_reason, and Google's FinishReason: `max_tokens`
    and `MAX_TOKENS`, which gateways pass on as they are.
    """
    reason = said or _UNKNOWN
    return _LENGTH if reason.lower() in _LENGTHS else reason


def _usage(counted: _Usage) -> Usage:
    details = counted.prompt_tokens_details or _Details()
    return Usage(
        prompt_tokens=counted.prompt_tokens or 0,
        completion_tokens=counted.completion_tokens or 0,
        cached_tokens=details.cached_tokens or 0,
    )
