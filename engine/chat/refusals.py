"""What a server means by an answer that is not a completion. Pure.

Sources of the texts: vLLM 0.32 (probed), llama.cpp server 2026.10 (probed), OpenAI API reference
"Error codes" (read 2026-11), SGLang and text-generation-inference server sources.
"""

import re
from http import HTTPStatus

import msgspec

from engine.access import OPEN, Access
from engine.chat.wire import UNREADABLE
from engine.endpoint import Endpoint
from engine.errors import ChatError, ContextOverflowError

_MOST_DETAIL = 300
_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_OVERFLOW = re.compile(
    r"""maximum\ context\ length | context_length_exceeded | exceed_context_size
    | available\ context\ size | context\ size\ has\ been\ exceeded | max_model_len
    | (?:maximum|model'?s)\ (?:model|context)\ length | context\ window
    | (?:prompt|input)\ is\ too\ long | inputs?`?\ tokens\ \+\ `?max_new_tokens""",
    re.IGNORECASE | re.VERBOSE,
)
_OVERFLOW_STATUS = {400, 413, 422, 500}
_TRANSIENT_STATUS = {408, 425, 429}
_PERMANENT_5XX = {501, 505}
_NO_SYSTEM = re.compile(r"system.{0,20}not supported|only user and assistant", re.IGNORECASE)
"""Templates of Gemma ("System role not supported") and of older Mistral models."""
_NO_CREDIT = frozenset({"insufficient_quota", "billing_not_active"})
"""Types and codes of a 429 that no waiting ends. Its words do not tell: "billing" and "exceeded
your current quota" stand in limits per minute as well, of OpenAI and of Gemini. Sources: OpenAI API
reference "Error codes" (read 2026-11); BerriAI/litellm#2743 for billing_not_active."""
_LIMIT_PER_TIME = "rate_limit"
"""How types and codes begin of a 429 that waiting does end."""


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Body(msgspec.Struct):
    """The shapes in use: OpenAI's and vLLM's `error`, old vLLM's flat one, FastAPI's `detail`."""

    error: _Error | str | None = None
    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    detail: str | None = None


def where(endpoint: Endpoint) -> str:
    """Return the words that name an endpoint in a message."""
    return f"{endpoint.model!r} at {endpoint.url} (served as {endpoint.served_model!r})"


def one_line(text: str, access: Access = OPEN) -> str:
    """Return `text` on one line, shortened, and without the key should the server echo it."""
    line = _SPACE.sub(" ", access.hidden(text)).strip()
    return line if len(line) <= _MOST_DETAIL else line[:_MOST_DETAIL] + "..."


def detail(body: bytes) -> str:
    """Return what the server said: message, type and code of any known shape, else its text."""
    return _joined(_error(body)) or _plain(body)


def _error(body: bytes) -> _Error:
    """Return the error that a body of any known shape tells; one of another shape tells nothing."""
    try:
        answer = msgspec.json.decode(body, type=_Body)
    except UNREADABLE:
        return _Error()
    if isinstance(answer.error, str):
        return _Error(answer.error)
    return answer.error or _Error(answer.message or answer.detail, answer.type, answer.code)


def _joined(error: _Error) -> str:
    marks = _marks(error)
    shown = f" ({', '.join(dict.fromkeys(marks))})" if marks else ""
    return (error.message or "") + shown


def _marks(error: _Error) -> list[str]:
    return [mark for mark in (error.type, error.code) if isinstance(mark, str) and mark]


def _plain(body: bytes) -> str:
    text = body[:10_000].decode(errors="replace").strip()
    title = _TITLE.search(text)
    if title:
        return f"an HTML page titled {title[1].strip()!r}"
    return "an HTML page" if text.startswith("<") else text or "nothing"


def error_code(body: bytes) -> int | None:
    """Return the HTTP status that some gateways hide in the error of an answer with status 200."""
    try:
        answer = msgspec.json.decode(body, type=_Body)
    except UNREADABLE:
        return None
    code = answer.error.code if isinstance(answer.error, _Error) else None
    return code if isinstance(code, int) and code >= HTTPStatus.BAD_REQUEST else None


def tells_error(body: bytes) -> bool:
    """Tell whether an answer with status 200 says in words what went wrong."""
    return bool(_error(body).message)


def refusal(
    endpoint: Endpoint,
    *,
    status: int,
    body: bytes,
    access: Access = OPEN,
    retry_after_s: float | None = None,
) -> ChatError:
    """Return the error that an answer with `status` (not 2xx) stands for."""
    said = detail(body)
    shown = one_line(said, access)
    if status in _OVERFLOW_STATUS and (status == 413 or _OVERFLOW.search(said)):  # noqa: PLR2004
        return ContextOverflowError(
            f"{where(endpoint)}: the conversation does not fit the window: {shown}", status=status
        )
    is_transient = _is_transient(status, _marks(_error(body)), retry_after_s)
    remedy = "" if is_transient else f" {_remedy(endpoint, status, said, has_key=bool(access.key))}"
    return ChatError(
        f"{where(endpoint)}: {_what(status)}: {shown}{_stop(shown, remedy)}{remedy}",
        status=status,
        is_transient=is_transient,
        retry_after_s=retry_after_s,
    )


def _stop(shown: str, following: str) -> str:
    return "." if following and not shown.endswith((".", "!", "?")) else ""


def _is_transient(status: int, marks: list[str], retry_after_s: float | None) -> bool:
    if status == HTTPStatus.PAYMENT_REQUIRED:
        return retry_after_s is not None
    if status == HTTPStatus.TOO_MANY_REQUESTS and retry_after_s is None:
        is_limit_per_time = any(mark.startswith(_LIMIT_PER_TIME) for mark in marks)
        return is_limit_per_time or _NO_CREDIT.isdisjoint(marks)
    return status in _TRANSIENT_STATUS or (status >= 500 and status not in _PERMANENT_5XX)  # noqa: PLR2004


def _what(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _remedy(endpoint: Endpoint, status: int, said: str, *, has_key: bool) -> str:
    if status in {401, 403}:
        return key_remedy(endpoint, has_key=has_key)
    if status in {402, 429}:
        return "The account has no credit left; add some, or use another endpoint."
    if status in {404, 405}:
        return _not_found_remedy(endpoint, said)
    if 300 <= status < 400:  # noqa: PLR2004
        return "It redirects elsewhere; give the final address as the base URL."
    if _NO_SYSTEM.search(said):
        return (
            f"Its chat template has no system messages: write system_role = false under "
            f"[endpoints.{endpoint.model}] in a configuration file (--config)."
        )
    return "It will not take this request; asking again cannot help."


def key_remedy(endpoint: Endpoint, *, has_key: bool) -> str:
    """Return what to do about a refused or missing key."""
    variable = endpoint.key_variable
    if has_key:
        return f"The key in {variable} is refused; set {variable} to one that is valid there."
    return f"It wants a key and {variable} is not set; set it."


def _not_found_remedy(endpoint: Endpoint, said: str) -> str:
    if "model" in said.lower():
        return (
            f"It does not serve {endpoint.served_model!r}; GET {endpoint.url}/models tells what it "
            "serves, and NAME=URL#MODEL chooses one."
        )
    return "No chat completions are answered there; the base URL usually ends in /v1."
