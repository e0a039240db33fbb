"""Asks an endpoint, before a run begins, what it serves: every mistake is found in seconds."""

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from engine.access import Access
from engine.chat import ChatRequest
from engine.chat.listing import (
    Model,
    is_base_wrong,
    lost_hint,
    no_list,
    other_bases,
    pick,
    read_models,
)
from engine.chat.refusals import one_line, refusal
from engine.chat.wire import UNREADABLE, encode
from engine.endpoint import Endpoint, beside, replicas
from engine.errors import ChatError, NotReadyError
from engine.transcript import Conversation, Message

if TYPE_CHECKING:
    from engine.chat.connection import Answer, Connection

_WITHIN_S = 8.0


class _Generation(msgspec.Struct):
    n_ctx: int | None = None


class _Props(msgspec.Struct):
    default_generation_settings: _Generation


async def resolve(endpoint: Endpoint, *, access: Access, within_s: float = _WITHIN_S) -> Endpoint:
    """Return `endpoint` with its window filled in, having seen that every URL serves the model.

    With a key one token is asked for as well: many servers list their models to anybody.

    Raises:
        NotReadyError: it is down, refuses the key, or is no OpenAI-compatible server.
        UsageError: it does not serve the model; the message names what it serves.
    """
    try:
        async with asyncio.TaskGroup() as group:
            asking = [
                group.create_task(_window(each, access, within_s)) for each in replicas(endpoint)
            ]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    windows = [window for task in asking if (window := task.result())]
    smallest = min(windows, default=endpoint.max_model_len)
    return msgspec.structs.replace(endpoint, max_model_len=smallest)


async def _window(endpoint: Endpoint, access: Access, within_s: float) -> int | None:
    from engine.chat.connection import connect  # imports openai: 0.4 s

    async with connect(endpoint, access=access, connect_s=within_s) as connection:
        asking = _Asking(endpoint, access, connection, within_s)
        found = pick(endpoint, await asking.models())
        if access.key:
            await asking.for_one_token()
        if found.window is None and found.meta is not None:
            return await asking.llama_cpp_window()
    return found.window


class _Asking:
    """Questions to one address, all of them within one time."""

    def __init__(
        self, endpoint: Endpoint, access: Access, connection: "Connection", within_s: float
    ) -> None:
        self._endpoint = endpoint
        self._access = access
        self._connection = connection
        self._within_s = within_s
        self._until = asyncio.get_running_loop().time() + within_s

    async def models(self) -> list[Model]:
        answer = await self._get(f"{self._endpoint.url}/models")
        models = read_models(answer.body)
        if models is None:
            raise no_list(
                self._endpoint,
                answer.status,
                answer.body,
                access=self._access,
                nearby=await self._nearby() if is_base_wrong(answer.status) else None,
            )
        return models

    async def for_one_token(self) -> None:
        """Have the key tried. What a server says that is slow or busy is left to the run."""
        url = f"{self._endpoint.url}/chat/completions"
        body = encode(
            _ONE_TOKEN,
            served_model=self._endpoint.served_model,
            has_system_role=self._endpoint.has_system_role,
        )
        try:
            async with asyncio.timeout_at(self._until):
                answer = await self._connection.post(url, body)
        except (TimeoutError, ChatError):
            return
        if answer.status < HTTPStatus.BAD_REQUEST:
            return
        error = refusal(self._endpoint, status=answer.status, body=answer.body, access=self._access)
        if not error.is_transient:
            raise NotReadyError(str(error))

    async def llama_cpp_window(self) -> int | None:
        """Ask /props, which lies beside /v1: older llama.cpp servers tell the window only there."""
        try:
            answer = await self._get(beside(self._endpoint.url, "props"))
            return msgspec.json.decode(answer.body, type=_Props).default_generation_settings.n_ctx
        except (NotReadyError, *UNREADABLE):
            return None

    async def _nearby(self) -> str | None:
        """Return a base URL of this server that lists models."""
        for base in other_bases(self._endpoint.url):
            try:
                answer = await self._get(f"{base}/models")
            except NotReadyError:
                return None
            if read_models(answer.body) is not None:
                return base
        return None

    async def _get(self, url: str) -> "Answer":
        tried = f"endpoint {self._endpoint.model!r}: GET {url}"
        try:
            async with asyncio.timeout_at(self._until):
                return await self._connection.get(url)
        except TimeoutError as error:
            raise NotReadyError(
                f"{tried} was not answered within {self._within_s:g} s. Is the server still "
                "starting, overloaded, or behind a firewall that drops requests?"
            ) from error
        except ChatError as error:
            cause = one_line(str(error).partition(": no answer: ")[2] or str(error))
            hint = lost_hint(self._endpoint.url, cause)
            raise NotReadyError(f"{tried} failed: {cause}. {hint}") from error


_ONE_TOKEN = ChatRequest(
    conversation=Conversation([Message("system", "Be brief."), Message("user", "Hi")]),
    seed=0,
    temperature=0.7,
    top_p=0.9,
    max_tokens=1,
)
