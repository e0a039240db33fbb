"""Colab's secrets: one that is there, one that is not, one whose window nobody answers."""

import time


class SecretNotFoundError(Exception):
    """There is no such secret."""


def get(name: str) -> str:
    """Return a secret, as Colab does once somebody has allowed it."""
    if name == "HF_TOKEN":
        return "hf_made-up-0123"
    if name == "UNANSWERED":
        time.sleep(3600)
    raise SecretNotFoundError(name)
