"""The backend without a model."""

import pytest

from engine.chat.scripted import ScriptedBackend, in_order
from engine.errors import ChatError
from engine.transcript import Completion, Conversation, Usage
from tests.chat.asking import Pauses, make_request


async def test_replies_follow_the_conversation_not_the_order_of_asking() -> None:
    backend = ScriptedBackend(in_order(["first", "second"]))
    later = await backend.complete(make_request("q", "first", "q"))
    sooner = await backend.complete(make_request("q"))
    assert (sooner.text, later.text) == ("first", "second")


async def test_the_last_reply_is_repeated() -> None:
    backend = ScriptedBackend(in_order(["only"]))
    assert (await backend.complete(make_request("q", "only", "q"))).text == "only"


async def test_a_script_sees_conversation_and_seed() -> None:
    def script(conversation: Conversation, seed: int) -> str:
        return f"{conversation.messages[-1].content} {seed}"

    assert (await ScriptedBackend(script).complete(make_request("q", seed=9))).text == "q 9"


async def test_a_recorded_completion_is_given_back_as_it_is() -> None:
    recorded = Completion(text="t", finish_reason="stop", usage=Usage(1, 2, 3), sent=4, received=5)
    assert await ScriptedBackend(in_order([recorded])).complete(make_request()) is recorded


async def test_a_reply_is_cut_between_characters() -> None:
    completion = await ScriptedBackend(in_order(["\u2603" * 10])).complete(
        make_request(max_tokens=2)
    )
    assert (completion.text, completion.finish_reason) == ("\u2603" * 2, "length")


async def test_a_script_may_fail_as_an_endpoint_does() -> None:
    def script(_conversation: Conversation, _seed: int) -> str:
        raise ChatError("gone", is_transient=True)

    with pytest.raises(ChatError, match="gone"):
        await ScriptedBackend(script).complete(make_request())


async def test_latency_passes_through_the_injected_sleep() -> None:
    pauses = Pauses()
    backend = ScriptedBackend(in_order(["x"]), latency_s=60.0, sleep=pauses.sleep)
    await backend.complete(make_request())
    assert pauses.taken_s == [60.0]
