"""What a misbehaving server answers, by name. The texts are those that real servers send."""

from enum import StrEnum
from typing import NamedTuple

JSON = "application/json"


class Fault(StrEnum):
    """One way to answer a request."""

    NONE = "none"
    RATE_LIMIT = "rate_limit"
    BRIEF_RATE_LIMIT = "brief_rate_limit"
    RATE_LIMIT_OF_NO_TIME = "rate_limit_of_no_time"
    UNTIMED_RATE_LIMIT = "untimed_rate_limit"
    RATE_LIMIT_UNTIL_LONG_AGO = "rate_limit_until_long_ago"
    RATE_LIMIT_UNTIL_NEVER = "rate_limit_until_never"
    NO_CREDIT = "no_credit"
    SERVER_ERROR = "server_error"
    UNAVAILABLE = "unavailable"
    GATEWAY_TIMEOUT = "gateway_timeout"
    HIDDEN_ERROR = "hidden_error"
    RESET = "reset"
    RESET_MIDWAY = "reset_midway"
    HANG = "hang"
    DRIP = "drip"
    INVALID_JSON = "invalid_json"
    INVALID_UTF8 = "invalid_utf8"
    HTML = "html"
    WRONG_SHAPE = "wrong_shape"
    WRONG_CONTENT = "wrong_content"
    NESTED = "nested"
    ABORTED = "aborted"
    BROKEN_UPSTREAM = "broken_upstream"
    FILTERED = "filtered"
    STREAMED = "streamed"
    ERROR_BESIDE_NULL = "error_beside_null"
    NO_CHOICES = "no_choices"
    NULL_CONTENT = "null_content"
    NO_USAGE = "no_usage"
    CUT = "cut"
    LARGE = "large"
    ENDLESS = "endless"
    OVERFLOW_VLLM = "overflow_vllm"
    OVERFLOW_VLLM_MAX_TOKENS = "overflow_vllm_max_tokens"
    OVERFLOW_LLAMA_CPP = "overflow_llama_cpp"
    OVERFLOW_OPENAI = "overflow_openai"
    TOO_LARGE = "too_large"
    WRONG_KEY = "wrong_key"
    FORBIDDEN = "forbidden"
    WRONG_MODEL = "wrong_model"
    WRONG_PATH = "wrong_path"
    WRONG_FIELD = "wrong_field"
    REDIRECT = "redirect"


class Canned(NamedTuple):
    """An answer that is the same for every request."""

    status: int
    body: str
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


_HTML = "<html><head><title>Sign in to the network</title></head><body>...</body></html>"
_OPENAI_OVERFLOW = (
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 "
    "tokens. Please reduce the length of the messages."
)
_VLLM_OVERFLOW = (
    "This model's maximum context length is 2048 tokens. However, your prompt contains at least "
    "2049 input tokens. Please reduce the length of the input prompt."
)


def _openai(message: str, kind: str, code: str | int | None = None) -> str:
    shown = "null" if code is None else str(code) if isinstance(code, int) else f'"{code}"'
    return f'{{"error":{{"message":"{message}","type":"{kind}","param":null,"code":{shown}}}}}'


def _rate_limit(retry_after: str) -> Canned:
    body = _openai("Rate limit reached", "requests", "rate_limit_exceeded")
    return Canned(429, body, headers=(("Retry-After", retry_after),))


def _reply(content: str, finish_reason: str, more: str = "") -> str:
    return (
        f'{{"choices":[{{"index":0,"message":{{"role":"assistant","content":{content}}},'
        f'"finish_reason":"{finish_reason}"{more}}}],"usage":{{"prompt_tokens":9}}'
    )


CANNED: dict[Fault, Canned] = {
    Fault.RATE_LIMIT: _rate_limit("7"),
    Fault.RATE_LIMIT_OF_NO_TIME: _rate_limit("0"),
    Fault.RATE_LIMIT_UNTIL_LONG_AGO: _rate_limit("Wed, 21 Oct 2015 07:28:00 GMT"),
    Fault.RATE_LIMIT_UNTIL_NEVER: _rate_limit("Mon, 01 Jan 99999999999 00:00:00 GMT"),
    Fault.UNTIMED_RATE_LIMIT: Canned(
        429, '{"error":{"message":"Rate limit exceeded: free-models-per-min. ","code":429}}'
    ),
    Fault.BRIEF_RATE_LIMIT: Canned(
        429,
        _openai("Rate limit reached", "requests", "rate_limit_exceeded"),
        headers=(("retry-after-ms", "200"),),
    ),
    Fault.NO_CREDIT: Canned(
        429,
        _openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
    ),
    Fault.SERVER_ERROR: Canned(
        500, _openai("EngineCore encountered an issue", "InternalServerError", 500)
    ),
    Fault.UNAVAILABLE: Canned(
        503, '{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}'
    ),
    Fault.GATEWAY_TIMEOUT: Canned(
        504, "<html><head><title>504 Gateway Time-out</title></head></html>", "text/html"
    ),
    Fault.HIDDEN_ERROR: Canned(200, _openai("upstream is down", "provider_error", 502)),
    Fault.INVALID_JSON: Canned(200, '{"id":"c1","choices":[{"mess'),
    Fault.HTML: Canned(200, _HTML, content_type="text/html"),
    Fault.WRONG_SHAPE: Canned(200, '{"output":"text"}'),
    Fault.WRONG_CONTENT: Canned(200, '{"choices":[{"message":{"content":5}}]}'),
    Fault.NESTED: Canned(200, '{"x":' + "[" * 9_000),
    Fault.ABORTED: Canned(200, _reply('"I will first look at"', "abort") + "}"),
    Fault.FILTERED: Canned(
        200, _reply(r'"I look.\n\n```python\nfor n in range(3): print("', "content_filter") + "}"
    ),
    Fault.STREAMED: Canned(
        200,
        'data: {"choices":[{"index":0,"delta":{"content":"I look."},"finish_reason":null}]}\n\n'
        'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
        content_type="text/event-stream",
    ),
    Fault.BROKEN_UPSTREAM: Canned(
        200,
        _reply('"The first step"', "stop", ',"error":{"code":502,"message":"disconnected"}') + "}",
    ),
    Fault.ERROR_BESIDE_NULL: Canned(
        200, _reply("null", "stop") + ',"error":{"message":"upstream is down"}}'
    ),
    Fault.NO_CHOICES: Canned(200, '{"choices":[],"usage":null}'),
    Fault.OVERFLOW_VLLM: Canned(
        400,
        f'{{"error":{{"message":"{_VLLM_OVERFLOW}","type":"BadRequestError",'
        '"param":"input_tokens","code":400}}',
    ),
    Fault.OVERFLOW_VLLM_MAX_TOKENS: Canned(
        400,
        '{"error":{"message":"max_tokens=100000 cannot be greater than max_model_len=2048. Please '
        'request fewer output tokens.","type":"BadRequestError","param":"max_tokens","code":400}}',
    ),
    Fault.OVERFLOW_LLAMA_CPP: Canned(
        400,
        '{"error":{"code":400,"message":"request (8013 tokens) exceeds the available context size '
        '(512 tokens), try increasing it","type":"exceed_context_size_error",'
        '"n_prompt_tokens":8013,"n_ctx":512}}',
    ),
    Fault.OVERFLOW_OPENAI: Canned(
        400, _openai(_OPENAI_OVERFLOW, "invalid_request_error", "context_length_exceeded")
    ),
    Fault.TOO_LARGE: Canned(413, _HTML, content_type="text/html"),
    Fault.WRONG_KEY: Canned(401, _openai("Incorrect API key provided", "invalid_api_key")),
    Fault.FORBIDDEN: Canned(403, '{"detail":"Not allowed"}'),
    Fault.WRONG_MODEL: Canned(404, _openai("The model `x` does not exist.", "NotFoundError", 404)),
    Fault.WRONG_PATH: Canned(404, '{"detail":"Not Found"}'),
    Fault.WRONG_FIELD: Canned(400, _openai("seed must be >= 0", "BadRequestError", 400)),
    Fault.REDIRECT: Canned(307, "", headers=(("Location", "http://127.0.0.1:1/v1"),)),
}
