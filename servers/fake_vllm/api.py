"""The fake's HTTP side: health, models, metrics, tokens, chat."""

import json
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from servers.fake_vllm.behaviour import Behaviour

_METRICS = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="{model}"}} {running}
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{engine="0",model_name="{model}"}} 0.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{{engine="0",model_name="{model}"}} 0.0
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{{engine="0",model_name="{model}"}} {prompt_tokens}
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{engine="0",model_name="{model}"}} {generation_tokens}
"""


_SLEEP = {"/sleep?level=1": True, "/wake_up": False}
"""What a POST to these makes of the server."""


class Api(ThreadingHTTPServer):
    """Answers for one model."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, address: tuple[str, int], *, model: str, max_model_len: int, can_sleep: bool = False
    ) -> None:
        """Take the port, but do not answer yet."""
        super().__init__(address, _Asked, bind_and_activate=False)
        self.server_bind()
        self.model = model
        self.max_model_len = max_model_len
        self.behaviour = Behaviour()
        self.is_mute = False
        self.can_sleep = can_sleep
        self.is_asleep = False
        self.running = 0
        self.prompt_tokens = 0
        self.generation_tokens = 0
        self.lock = threading.Lock()

    def open(self, behaviour: Behaviour, *, is_mute: bool) -> None:
        """Begin to answer."""
        self.behaviour = behaviour
        self.is_mute = is_mute
        self.server_activate()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def metrics(self) -> str:
        """Return the metrics as Prometheus reads them."""
        return _METRICS.format(
            model=self.model,
            running=float(self.running),
            prompt_tokens=float(self.prompt_tokens),
            generation_tokens=float(self.generation_tokens),
        )

    def complete(self, asked: dict[str, object]) -> dict[str, object]:
        """Answer a chat request, slowly if told so."""
        with self.lock:
            self.running += 1
        time.sleep(self.behaviour.reply_s)
        words = self.behaviour.reply.split(" ")
        limit = asked.get("max_tokens")
        said = words[:limit] if isinstance(limit, int) else words
        n_prompt = len(json.dumps(asked.get("messages")).split())
        with self.lock:
            self.running -= 1
            self.prompt_tokens += n_prompt
            self.generation_tokens += len(said)
        finish = "stop" if len(said) == len(words) else "length"
        message = {"role": "assistant", "content": " ".join(said)}
        return {
            "id": f"chatcmpl-{self.generation_tokens}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self.model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {
                "prompt_tokens": n_prompt,
                "completion_tokens": len(said),
                "total_tokens": n_prompt + len(said),
            },
        }


class _Asked(BaseHTTPRequestHandler):
    server: Api  # pyright: ignore[reportIncompatibleVariableOverride] - narrower, and always so
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        match self.path:
            case "/health" | "/ping":
                self._send(HTTPStatus.OK, b"")
            case "/metrics":
                self._send(HTTPStatus.OK, self.server.metrics().encode(), kind="text/plain")
            case "/version":
                self._send_json({"version": "0.32.0"})
            case "/is_sleeping" if self.server.can_sleep:
                self._send_json({"is_sleeping": self.server.is_asleep})
            case "/v1/models":
                self._send_json({"object": "list", "data": [self._model()]})
            case _:
                self._refuse(HTTPStatus.NOT_FOUND, "Not Found")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.can_sleep and self.path in _SLEEP:
            self.server.is_asleep = _SLEEP[self.path]
            self._send(HTTPStatus.OK, b"")
            return
        try:
            asked = json.loads(body)
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST, "the body is not JSON")
            return
        if asked.get("model") != self.server.model:
            self._refuse(HTTPStatus.NOT_FOUND, f"The model `{asked.get('model')}` does not exist.")
        elif self.path == "/tokenize":
            tokens = list(range(len(json.dumps(asked).split())))
            window = self.server.max_model_len
            self._send_json({"count": len(tokens), "max_model_len": window, "tokens": tokens})
        elif self.path == "/v1/chat/completions":
            self._chat(asked)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "Not Found")

    def _chat(self, asked: dict[str, object]) -> None:
        if self.server.is_mute or self.server.is_asleep:
            self._refuse(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "EngineCore encountered an issue. See stack trace (above) for the root cause.",
            )
            return
        self._send_json(self.server.complete(asked))

    def _model(self) -> dict[str, object]:
        name, window = self.server.model, self.server.max_model_len
        return {"id": name, "object": "model", "owned_by": "vllm", "max_model_len": window}

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        error = {"message": message, "type": status.phrase.replace(" ", ""), "code": int(status)}
        self._send_json({"error": error}, status)

    def _send_json(self, value: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(status, json.dumps(value).encode())

    def _send(self, status: HTTPStatus, body: bytes, *, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is Python's
        """Say nothing: vLLM's own lines about requests tell nothing that matters here."""
