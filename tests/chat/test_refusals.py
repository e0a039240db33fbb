"""What a refusal stands for: what waiting ends, and what it does not."""

import json

import pytest

from engine.chat.refusals import detail, error_code, refusal
from engine.errors import ChatError
from tests.chat.asking import make_endpoint

PER_MINUTE = (
    "Rate limit reached for requests. Limit: 3 / min. Please try again in 20s. Visit "
    "https://platform.openai.com/account/billing to add a payment method."
)
OF_GEMINI = (
    "You exceeded your current quota, please check your plan and billing details. Quota exceeded "
    "for metric: generate_content_free_tier_requests, limit: 15. Please retry in 32.4s."
)
NO_CREDIT = "You exceeded your current quota, please check your plan and billing details."


def refused(
    message: str,
    kind: str | None,
    code: str | int | None,
    retry_after_s: float | None = None,
    *,
    status: int = 429,
) -> ChatError:
    body = json.dumps({"error": {"message": message, "type": kind, "code": code}}).encode()
    endpoint = make_endpoint("http://127.0.0.1:1/v1")
    return refusal(endpoint, status=status, body=body, retry_after_s=retry_after_s)


@pytest.mark.parametrize(
    ("message", "kind", "code"),
    [
        (PER_MINUTE, "requests", "rate_limit_exceeded"),
        (PER_MINUTE, "requests", None),
        (OF_GEMINI, None, 429),
    ],
)
def test_a_limit_per_minute_is_waited_out_whatever_it_says_of_billing(
    message: str, kind: str | None, code: str | int | None
) -> None:
    assert refused(message, kind, code).is_transient


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("insufficient_quota", "insufficient_quota"),
        ("insufficient_quota", None),
        ("billing_not_active", "billing_not_active"),
    ],
)
def test_an_account_without_credit_is_not_waited_for(kind: str, code: str | None) -> None:
    assert not refused(NO_CREDIT, kind, code).is_transient


def test_a_server_that_says_when_to_come_again_is_asked_again() -> None:
    assert refused(NO_CREDIT, "insufficient_quota", None, retry_after_s=20.0).is_transient


def test_a_rate_limit_that_is_called_a_quota_is_waited_out() -> None:
    assert refused(NO_CREDIT, "insufficient_quota", "rate_limit_exceeded").is_transient


def test_a_bill_is_waited_for_only_where_the_server_says_how_long() -> None:
    assert refused("In-flight budget", None, 402, 0.0, status=402).is_transient
    assert not refused("Insufficient credits", None, 402, status=402).is_transient


def test_a_body_that_is_nested_without_end_tells_its_text_alone() -> None:
    body = b'{"x":' + b"[" * 9_000
    assert detail(body).startswith('{"x":[')
    assert error_code(body) is None
