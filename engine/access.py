"""What is shown to an endpoint to be let in. Never stored, never printed."""

from collections.abc import Mapping

import msgspec


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """A key and further headers, with the values of their variables filled in."""

    key: str | None = None
    headers: Mapping[str, str] = {}
    secrets: tuple[str, ...] = ()
    """Values of variables in `headers`: hidden wherever a server repeats them."""

    def __repr__(self) -> str:
        """Tell nothing."""
        return "Access(...)"

    def hidden(self, text: str) -> str:
        """Return `text` without anything secret."""
        secrets = filter(None, (self.key, *self.secrets))
        for secret in sorted(secrets, key=len, reverse=True):  # one may begin like another
            text = text.replace(secret, "[key]")
        return text


OPEN = Access()
"""For a server that lets everybody in."""
