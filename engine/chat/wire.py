"""JSON of a chat completion, reduced to what is sent and what is read. Pure."""

import re
from typing import cast

import msgspec

from engine.chat import ChatRequest
from engine.transcript import Conversation, Usage

UNREADABLE = (ValueError, RecursionError)
"""What decoding raises: a body is no JSON, is of another shape, or is nested without end."""


class ShapeError(ValueError):
    """A reply is whole and of no known shape: asked again, it would be paid for again."""


class BrokenOffError(ValueError):
    """The server broke the reply off: where it ends is not the model's doing."""


class FilteredError(ValueError):
    """A filter at the server cut the reply off: asked again under the same seed, it would again."""


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
    message: _Message | None = None
    finish_reason: str | None = None
    error: object = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Uncounted(msgspec.Struct):
    choices: list[_Choice]
    error: object = None


class _Body(_Uncounted):
    usage: _Usage | None = None


class _OnlyUsage(msgspec.Struct):
    usage: _Usage | None = None


class _Counted(msgspec.Struct):
    count: int | None = None


_DECODER = msgspec.json.Decoder(_Body)
_UNCOUNTED = msgspec.json.Decoder(_Uncounted)
_USAGE = msgspec.json.Decoder(_OnlyUsage, strict=False)
"""Takes 12.0 and "12" for a number as well."""
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}"
    rb"|(?P<half>u[dD][89a-fA-F][\da-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape of JSON: a surrogate pair, half of one, or any other."""
_UNKNOWN = "unknown"
_LENGTH = "length"
_LENGTHS = frozenset({"max_tokens", "model_length"})
"""What some servers say in place of "length"."""
_BROKEN_OFF = frozenset({"abort", "error"})
"""Finish reasons of replies that did not come to their end. Sources: vLLM 0.32, FinishReason, and
SGLang: `abort`; OpenRouter API reference (2026), "Errors": `error`, beside `choices[0].error`."""

_FILTERED = frozenset(
    {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii"}
)
"""Finish reasons of replies that a filter cut off. Sources: OpenAI API reference (2026), "The chat
completion object": `content_filter`; Google's FinishReason, which gateways pass on as it is."""
_STREAM = re.compile(rb"\s*(?:data|event|id|retry)?:")
"""How a stream of events begins, and no JSON. Source: HTML Standard (2026), section 9.2.6."""


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
    except UNREADABLE:
        return None


def decode(body: bytes) -> Reply:
    """Return the first choice of an answer.

    A null content is an empty text: the server spent the tokens on something that is not content.

    Raises:
        BrokenOffError: it is the beginning of a reply.
        FilteredError: it is what a filter at the server left of one.
        ShapeError: it has choices and no reply; the message says in which respect.
        ValueError: it is no JSON, or has no choices.
    """
    answer = _answer(body)
    if not answer.choices:
        raise ValueError("the answer has no choices")
    choice = answer.choices[0]
    content = choice.message.content if choice.message else None
    if _says(choice, _FILTERED):
        raise FilteredError(
            "a content filter at the server cut the reply off; switch it off there, or use another "
            "endpoint"
        )
    if _is_broken_off(choice, None if content else answer.error):
        raise BrokenOffError("the server broke the reply off")
    if choice.message is None:
        raise ShapeError("the choice has no message")
    return Reply(
        text=_text(content),
        finish_reason=_finish_reason(choice.finish_reason),
        usage=_usage(answer.usage or _Usage()),
    )


def _answer(body: bytes) -> _Body:
    try:
        return _DECODER.decode(body)
    except RecursionError as error:
        raise ValueError("it is nested without end") from error
    except ValueError as error:
        unicode = _in_unicode(body)
        if unicode != body:
            return _answer(unicode)
        if isinstance(error, msgspec.ValidationError):
            return _answer_despite(error, body)
        if _is_streamed(body):
            raise ShapeError(
                "it streams, although not asked to; switch that off at the server"
            ) from error
        raise


def _in_unicode(body: bytes) -> bytes:
    """Return JSON with U+FFFD for all that is no Unicode: bytes, and halves of surrogate pairs.

    A server escapes such a half where the token limit, or it itself, cut a pair in two.
    """
    whole = body.decode(errors="replace").encode()
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape["half"] else escape[0], whole)


def _answer_despite(error: msgspec.ValidationError, body: bytes) -> _Body:
    """Return an answer of which only the usage is of another shape.

    Raises:
        ShapeError: its choices are.
        ValueError: it has none, or is torn further on.
    """
    is_reply = _has_choices(msgspec.json.decode(body))
    try:
        answer = _UNCOUNTED.decode(body)
    except msgspec.ValidationError:
        raise (ShapeError if is_reply else ValueError)(str(error)) from error
    return _Body(answer.choices, answer.error, _read_usage(body))


def _is_streamed(body: bytes) -> bool:
    """Tell whether a body is a reply in events; a stream that tells of an error alone is none."""
    return _STREAM.match(body) is not None and b'"choices"' in body


def _has_choices(answer: object) -> bool:
    return isinstance(answer, dict) and bool(cast("dict[str, object]", answer).get("choices"))


def _read_usage(body: bytes) -> _Usage | None:
    try:
        return _USAGE.decode(body).usage
    except msgspec.ValidationError:
        return None


def _is_broken_off(choice: _Choice, error: object) -> bool:
    return bool(choice.error or error) or _says(choice, _BROKEN_OFF)


def _says(choice: _Choice, reasons: frozenset[str]) -> bool:
    said = choice.finish_reason
    return said is not None and said.lower() in reasons


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
