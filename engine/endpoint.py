"""Where a served model answers. A value: no connection, no key."""

import msgspec


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One OpenAI-compatible base URL and the model that is asked there."""

    model: str
    """Name of the arm in the study, e.g. "qwen2.5-3b"."""
    url: str
    """Base URL up to and including /v1."""
    served_model: str
    """What the server calls the model: the `model` field of a request."""
    key_variable: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key; the key itself is never stored."""
    checkpoint: str | None = None
    """Directory with the config.json and safetensors of the weights served, if they can be read."""
    max_model_len: int | None = None
    """Context window in tokens, as the server states it; None when it does not."""
    requests_per_s: float | None = None
    """Cap on request starts per second; None for a local server, which queues by itself."""
