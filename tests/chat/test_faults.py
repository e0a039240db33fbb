"""Each way in which a server misbehaves, and what becomes of it."""

import asyncio

import pytest

from engine.chat.patience import Patience
from engine.errors import ChatError, ContextOverflowError
from tests.chat.asking import KEY, asking, make_request
from tests.faults.asks import always, at_first
from tests.faults.faults import Fault

BRIEF = Patience(answer_s=0.5, attempts=2)
TRANSIENT = [
    Fault.RATE_LIMIT,
    Fault.SERVER_ERROR,
    Fault.UNAVAILABLE,
    Fault.GATEWAY_TIMEOUT,
    Fault.UNTIMED_RATE_LIMIT,
    Fault.HIDDEN_ERROR,
    Fault.RESET,
    Fault.RESET_MIDWAY,
    Fault.INVALID_JSON,
    Fault.HTML,
    Fault.NO_CHOICES,
    Fault.WRONG_SHAPE,
    Fault.NESTED,
    Fault.ABORTED,
    Fault.BROKEN_UPSTREAM,
    Fault.ERROR_BESIDE_NULL,
    Fault.RATE_LIMIT_UNTIL_NEVER,
]
OVERFLOWS = [
    Fault.OVERFLOW_VLLM,
    Fault.OVERFLOW_VLLM_MAX_TOKENS,
    Fault.OVERFLOW_LLAMA_CPP,
    Fault.OVERFLOW_OPENAI,
    Fault.TOO_LARGE,
]
FINAL = {
    Fault.WRONG_KEY: (401, "OPENAI_API_KEY is refused"),
    Fault.FORBIDDEN: (403, "OPENAI_API_KEY is refused"),
    Fault.WRONG_MODEL: (404, "does not serve 'served-model'"),
    Fault.WRONG_PATH: (404, "usually ends in /v1"),
    Fault.WRONG_FIELD: (400, "seed must be >= 0"),
    Fault.NO_CREDIT: (429, "no credit"),
    Fault.REDIRECT: (307, "redirects"),
    Fault.WRONG_CONTENT: (200, "no completion"),
    Fault.STREAMED: (200, "it streams, although not asked to"),
    Fault.FILTERED: (200, "a content filter at the server cut the reply off"),
}


@pytest.mark.parametrize("fault", TRANSIENT)
async def test_transient_trouble_is_asked_again(fault: Fault) -> None:
    async with asking(at_first(fault, fault)) as case:
        completion = await case.backend.complete(make_request())
    assert completion.text.startswith("reply-0")
    assert [ask.attempt for ask in case.server.asks] == [0, 1, 2]


@pytest.mark.parametrize("fault", TRANSIENT)
async def test_trouble_that_stays_ends_as_transient_after_the_attempts(fault: Fault) -> None:
    async with asking(always(fault), patience=Patience(attempts=3)) as case:
        with pytest.raises(ChatError) as caught:
            await case.backend.complete(make_request())
    assert caught.value.is_transient
    assert len(case.server.asks) == 3
    assert "'small' at http://127.0.0.1:" in str(caught.value)
    assert "(asked 3 times)" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.DRIP])
async def test_an_answer_that_does_not_end_is_given_up_and_asked_again(fault: Fault) -> None:
    async with asking(at_first(fault), patience=Patience(answer_s=0.5, attempts=20)) as case:
        completion = await case.backend.complete(make_request())
    assert completion.finish_reason == "stop"
    assert len(case.server.asks) >= 2


async def test_a_server_that_hangs_for_ever_is_named_with_the_limit() -> None:
    async with asking(always(Fault.HANG), patience=BRIEF) as case:
        with pytest.raises(ChatError, match=r"no complete answer within 0\.5 s") as caught:
            await case.backend.complete(make_request())
    assert caught.value.is_transient


@pytest.mark.parametrize("fault", OVERFLOWS)
async def test_a_full_window_is_an_overflow_and_is_not_asked_again(fault: Fault) -> None:
    async with asking(always(fault)) as case:
        with pytest.raises(ContextOverflowError) as caught:
            await case.backend.complete(make_request())
    assert not caught.value.is_transient
    assert len(case.server.asks) == 1


@pytest.mark.parametrize("fault", FINAL)
async def test_a_refusal_is_final_and_names_the_remedy(fault: Fault) -> None:
    status, remedy = FINAL[fault]
    async with asking(always(fault)) as case:
        with pytest.raises(ChatError, match=remedy) as caught:
            await case.backend.complete(make_request())
    error = caught.value
    assert (error.status, error.is_transient, len(case.server.asks)) == (status, False, 1)
    assert type(error) is ChatError
    assert "(served as 'served-model')" in str(error)
    assert "\n" not in str(error)


async def test_a_missing_key_is_told_apart_from_a_wrong_one() -> None:
    async with asking(key=None, wanted_key=KEY) as case:
        with pytest.raises(ChatError, match="OPENAI_API_KEY is not set"):
            await case.backend.complete(make_request())
    assert case.server.asks[0].authorization is None


async def test_an_endless_answer_is_refused_before_it_fills_the_memory() -> None:
    async with asking(always(Fault.ENDLESS)) as case:
        with pytest.raises(ChatError, match="larger than 64 MiB") as caught:
            await case.backend.complete(make_request())
    assert not caught.value.is_transient


async def test_a_large_answer_is_a_completion() -> None:
    async with asking(always(Fault.LARGE)) as case:
        assert len((await case.backend.complete(make_request())).text) == 4_000_000


async def test_null_content_is_an_empty_reply() -> None:
    async with asking(always(Fault.NULL_CONTENT)) as case:
        assert (await case.backend.complete(make_request())).text == ""


async def test_a_reply_cut_by_length_says_so() -> None:
    async with asking(always(Fault.CUT)) as case:
        assert (await case.backend.complete(make_request())).finish_reason == "length"


async def test_an_answer_without_usage_counts_nothing() -> None:
    async with asking(always(Fault.NO_USAGE)) as case:
        assert (await case.backend.complete(make_request())).usage.prompt_tokens == 0


async def test_bytes_that_are_no_text_are_replaced() -> None:
    async with asking(always(Fault.INVALID_UTF8)) as case:
        assert "re\ufffdply" in (await case.backend.complete(make_request())).text


async def test_retry_after_is_honoured() -> None:
    async with asking(at_first(Fault.RATE_LIMIT)) as case:
        await case.backend.complete(make_request())
    assert 7.0 <= case.pauses.taken_s[0] <= 8.75
    assert case.pauses.noticed[0].status == 429


@pytest.mark.parametrize("fault", [Fault.RATE_LIMIT_OF_NO_TIME, Fault.RATE_LIMIT_UNTIL_LONG_AGO])
async def test_a_retry_after_of_no_time_does_not_shorten_the_ordinary_pauses(fault: Fault) -> None:
    async with asking(always(fault), patience=Patience(attempts=4, first_wait_s=1.0)) as case:
        with pytest.raises(ChatError):
            await case.backend.complete(make_request())
    assert len(case.pauses.taken_s) == 3
    assert all(
        pause >= least for pause, least in zip(case.pauses.taken_s, [0.5, 1.0, 2.0], strict=True)
    )


async def test_a_retry_after_beyond_all_patience_ends_at_once() -> None:
    patience = Patience(longest_retry_after_s=5.0)
    async with asking(always(Fault.RATE_LIMIT), patience=patience) as case:
        with pytest.raises(ChatError) as caught:
            await case.backend.complete(make_request())
    assert caught.value.retry_after_s == 7.0
    assert len(case.server.asks) == 1


async def test_pauses_grow_up_to_their_limit() -> None:
    patience = Patience(attempts=6, first_wait_s=1.0, longest_wait_s=4.0)
    async with asking(always(Fault.SERVER_ERROR), patience=patience) as case:
        with pytest.raises(ChatError):
            await case.backend.complete(make_request())
    highest = [1.0, 2.0, 4.0, 4.0, 4.0]
    assert all(
        high / 2 <= pause <= high for pause, high in zip(case.pauses.taken_s, highest, strict=True)
    )


async def test_the_callers_deadline_wins_over_all_patience() -> None:
    async with asking(always(Fault.HANG), patience=Patience(answer_s=600.0)) as case:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await case.backend.complete(make_request())
    assert len(case.server.asks) <= 1


async def test_the_key_never_enters_a_message() -> None:
    async with asking(wanted_key="another") as case:
        with pytest.raises(ChatError) as caught:
            await case.backend.complete(make_request())
    assert case.server.asks[0].authorization == f"Bearer {KEY}"
    assert KEY not in str(caught.value)
