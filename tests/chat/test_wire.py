"""Bodies out and in, for any text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.chat.wire import BrokenOffError, FilteredError, ShapeError, decode, encode
from tests.chat.asking import make_request

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(TEXT, min_size=1), TEXT)
def test_a_body_is_json_with_the_messages_as_they_are(texts: list[str], model: str) -> None:
    request = make_request(*texts)
    body = json.loads(encode(request, served_model=model))
    assert body["model"] == model
    assert [message["content"] for message in body["messages"][1:]] == texts


@given(st.lists(TEXT, min_size=1))
def test_without_a_system_role_its_text_opens_the_first_user_message(texts: list[str]) -> None:
    request = make_request(*texts)
    body = json.loads(encode(request, served_model="m", has_system_role=False))
    system, opening, *later = [message.content for message in request.conversation.messages]
    assert body["messages"][0] == {"role": "user", "content": f"{system}\n\n{opening}"}
    assert [message["content"] for message in body["messages"][1:]] == later
    assert "system" not in {message["role"] for message in body["messages"]}


@given(TEXT, st.none() | st.integers(0, 10**9))
def test_a_completion_is_read_back(text: str, n_tokens: int | None) -> None:
    answer = {
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": n_tokens, "prompt_tokens_details": None},
    }
    reply = decode(json.dumps(answer).encode())
    assert (reply.text, reply.finish_reason) == (text, "stop")
    assert reply.usage.prompt_tokens == (n_tokens or 0)


@given(st.binary())
def test_any_other_bytes_are_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode(body)


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"half \ud83d", "half \ufffd"),
        (r"\uDE00 half", "\ufffd half"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\ude00\ud83d", "\ufffd\ufffd"),
        (r"\ud83d\n\u0041", "\ufffd\nA"),
        (r"\\ud83d \\\ud83d", r"\ud83d " + "\\\ufffd"),
    ],
)
def test_half_of_a_surrogate_pair_is_read_as_a_replacement(escaped: str, text: str) -> None:
    usage = '{"prompt_tokens":12,"completion_tokens":"3"}'
    choice = f'{{"message":{{"content":"{escaped}"}},"finish_reason":"length"}}'
    reply = decode(f'{{"usage":{usage},"choices":[{choice}]}}'.encode())
    assert (reply.text, reply.finish_reason) == (text, "length")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (12, 3)


def test_half_of_a_surrogate_pair_hides_no_byte_that_is_no_utf_8() -> None:
    body = b'{"choices":[{"message":{"content":"\xff \\ud83d"}}]}'
    assert decode(body).text == "\ufffd \ufffd"


def test_a_missing_finish_reason_is_unknown() -> None:
    assert decode(b'{"choices":[{"message":{"content":"x"}}]}').finish_reason == "unknown"


def test_a_text_in_parts_is_read_as_one() -> None:
    content = [
        {"type": "text", "text": "Hi, "},
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "there"},
    ]
    assert decode(json.dumps({"choices": [{"message": {"content": content}}]}).encode()).text == (
        "Hi, there"
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[{"text":"Hi"}]}',
        b'{"choices":[{"message":{"content":5}}]}',
        b'{"choices":5,"x":"\xff"}',
        rb'{"choices":[{"text":"Hi \ud83d"}]}',
        rb'{"choices":5,"x":"\ud83d"}',
    ],
)
def test_choices_of_another_shape_are_told_apart(body: bytes) -> None:
    with pytest.raises(ShapeError):
        decode(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[{"mess',
        b'{"choices":5,"x',
        rb'{"choices":[{"message":{"content":"Hi \ud83d"}}',
        rb'{"choices":[{"message":{"content":"Hi \ud8"}}]}',
        rb'{"error":"\ud83d"}',
        b"",
        b"<html>",
        b'{"output":"text"}',
        b'{"choices":null}',
        b"[]",
        b'{"x":' + b"[" * 9_000,
    ],
)
def test_what_is_torn_or_has_no_choices_is_of_no_shape(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        decode(body)
    assert not isinstance(caught.value, ShapeError)


@pytest.mark.parametrize(
    ("usage", "n_tokens"),
    [('{"prompt_tokens":12.0}', 12), ('{"prompt_tokens":"12"}', 12), ('{"prompt_tokens":"?"}', 0)],
)
def test_a_reply_is_read_whatever_its_usage_looks_like(usage: str, n_tokens: int) -> None:
    reply = decode(f'{{"choices":[{{"message":{{"content":"Hi"}}}}],"usage":{usage}}}'.encode())
    assert (reply.text, reply.usage.prompt_tokens) == ("Hi", n_tokens)


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"message": {"content": "I will"}, "finish_reason": "abort"}]},
        {"choices": [{"message": {"content": ""}, "finish_reason": "Error"}]},
        {"choices": [{"message": {"content": "I will"}, "error": {"code": 502}}]},
        {"choices": [{"error": {"message": "disconnected"}}]},
        {"choices": [{"message": {"content": None}}], "error": {"message": "upstream"}},
        {"choices": [{"message": {"content": "\ud83d"}, "finish_reason": "abort"}]},
    ],
)
def test_a_reply_that_the_server_broke_off_is_told_apart(answer: object) -> None:
    with pytest.raises(BrokenOffError):
        decode(json.dumps(answer).encode())


@pytest.mark.parametrize("said", ["content_filter", "CONTENT_FILTER", "SAFETY", "recitation"])
@pytest.mark.parametrize("content", ["I will", None])
def test_a_reply_that_a_filter_cut_off_is_told_apart(said: str, content: str | None) -> None:
    answer = {"choices": [{"message": {"content": content}, "finish_reason": said}]}
    with pytest.raises(FilteredError):
        decode(json.dumps(answer).encode())


CHUNK = b'data: {"choices":[{"delta":{"content":"I look."}}]}\n\n'


@pytest.mark.parametrize(
    "before", [b"", b"\n", b"event: message\n", b": PROCESSING\n\n", b"id: 1\n"]
)
def test_a_reply_in_events_is_told_apart(before: bytes) -> None:
    with pytest.raises(ShapeError, match="streams"):
        decode(before + CHUNK + b"data: [DONE]\n\n")


def test_an_error_in_events_is_no_reply() -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        decode(b'data: {"error":{"message":"upstream is down"}}\n\n')
    assert not isinstance(caught.value, ShapeError)


def test_a_field_for_errors_that_holds_none_breaks_nothing_off() -> None:
    answer = {"choices": [{"message": {"content": None}, "error": None}], "error": None}
    assert decode(json.dumps(answer).encode()).text == ""


@pytest.mark.parametrize("said", ["length", "max_tokens", "MAX_TOKENS", "model_length"])
def test_a_reply_that_was_cut_is_said_in_one_word(said: str) -> None:
    answer = {"choices": [{"message": {"content": "x"}, "finish_reason": said}]}
    assert decode(json.dumps(answer).encode()).finish_reason == "length"
