"""Whether a server is ready: it answers, it serves the model, and it completes one token."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus

HEALTH_S = 5.0
_KEY_VARIABLE = "VLLM_API_KEY"


class NoAnswerError(Exception):
    """The server did not do what was asked of it; the text says what it said."""


def is_healthy(port: int, *, within_s: float = HEALTH_S) -> bool:
    """Return whether the server on this port of this machine calls itself healthy."""
    try:
        _ask(port, "/health", within_s=within_s)
    except NoAnswerError:
        return False
    return True


def complete_one_token(
    port: int, model: str, environment: Mapping[str, str], *, within_s: float
) -> None:
    """Have the model write one token.

    Raises:
        NoAnswerError: it did not.
    """
    question = {
        "model": model,
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 1,
        "temperature": 0,
    }
    _ask(
        port,
        "/v1/chat/completions",
        body=question,
        key=environment.get(_KEY_VARIABLE),
        within_s=within_s,
    )


def fetch_metrics(port: int) -> str:
    """Return the server's metrics, as it prints them.

    Raises:
        NoAnswerError: it does not answer.
    """
    return _ask(port, "/metrics", within_s=HEALTH_S).decode(errors="replace")


def post(port: int, path: str, *, key: str | None, within_s: float) -> None:
    """Ask the server to do something that it answers when it is done.

    Raises:
        NoAnswerError: it does not, or refuses.
    """
    _ask(port, path, body={}, key=key, within_s=within_s)


def _ask(
    port: int, path: str, *, within_s: float, key: str | None = None, body: object = None
) -> bytes:
    """Blocks: for a thread."""
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=json.dumps(body).encode() if body is not None else None,
        headers=headers,
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=within_s) as answer:
            if answer.status != HTTPStatus.OK:
                raise NoAnswerError(f"HTTP {answer.status}")
            return answer.read()
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(500).decode(errors="replace")
        raise NoAnswerError(f"HTTP {error.code}: {text}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswerError(str(error) or type(error).__name__) from error
