"""NAME=URL[#MODEL], read."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.endpoint import Endpoint, Prices, check_distinct, endpoint_at, parse_endpoint
from engine.errors import UsageError


@pytest.mark.parametrize(
    ("text", "url", "served_model"),
    [
        ("a=http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1", "a"),
        ("a=http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1", "a"),
        ("a=http://localhost:8000", "http://localhost:8000/v1", "a"),
        ("a=http://h/v1/chat/completions", "http://h/v1", "a"),
        ("a=https://h/api/v1#Qwen/Qwen2.5-3B", "https://h/api/v1", "Qwen/Qwen2.5-3B"),
        ("a=http://[::1]:8000/v1#m", "http://[::1]:8000/v1", "m"),
    ],
)
def test_an_endpoint_is_read(text: str, url: str, served_model: str) -> None:
    assert parse_endpoint(text) == Endpoint(model="a", url=url, served_model=served_model)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected NAME=URL"),
        ("a", "expected NAME=URL"),
        ("a=", "expected NAME=URL"),
        ("=http://h/v1", "expected NAME=URL"),
        ("a=http://h/v1#", "expected NAME=URL"),
        ("http://h/v1", "expected NAME=URL"),
        ("a/b=http://h/v1", "the name 'a/b'"),
        ("../a=http://h/v1", "the name"),
        ("a=h:8000/v1", "begins with http://"),
        ("a=ftp://h/v1", "begins with http://"),
        ("a=http://", "begins with http://"),
        ("a=http://h/v 1", "begins with http://"),
        ("a=http://h:99999/v1", "Port out of range"),
        ("a=http://[::1/v1", "Invalid IPv6"),
    ],
)
def test_what_is_none_is_refused_with_the_part_that_is_wrong(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_endpoint(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://me:secret@h/v1",
        "http://h/v1?key=secret",
        "http://me:x=secret@h/v1",
        "a=ftp://me:secret@h/v1",
        "a=http://me:secret/x@h/v1",
        "a=http://me:secret@h:99999/v1",
        "a/b=http://h/v1?key=secret",
        "a=http://h/v1?key=secret#",
        "a=me:secret@h/v1",
        "a=http:/me:secret@h/v1",
        "me:secret@h/v1",
        "me:secret@h=http://h/v1",
    ],
)
def test_a_refusal_for_another_reason_repeats_no_secret_of_the_url(text: str) -> None:
    with pytest.raises(UsageError, match="--endpoint") as caught:
        parse_endpoint(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["me:secret@h/v1", "http:/me:secret@h/v1", "//me:secret@h"])
def test_an_address_in_a_file_is_refused_without_what_stands_before_its_host(address: str) -> None:
    with pytest.raises(UsageError, match="is no base URL") as caught:
        endpoint_at([address], name="a", origin="lab.toml")
    assert "secret" not in str(caught.value)


def test_a_model_behind_a_base_url_is_not_dropped_in_silence() -> None:
    with pytest.raises(UsageError, match="the field model"):
        endpoint_at(["http://h/v1#m"], name="a", origin="lab.toml")


@pytest.mark.parametrize("cap", [math.inf, math.nan, 0.0, -1.0])
def test_a_cap_that_is_none_is_refused(cap: float) -> None:
    with pytest.raises(UsageError, match="'a': requests_per_s is"):
        msgspec.structs.replace(parse_endpoint("a=http://h/v1"), requests_per_s=cap)


@pytest.mark.parametrize("price", [math.inf, math.nan, -1.0])
@pytest.mark.parametrize("field", ["prompt", "completion", "cached"])
def test_a_price_that_is_none_is_refused_by_its_name(field: str, price: float) -> None:
    prices = msgspec.convert({"prompt": 0.0, "completion": 0.0, field: price}, Prices)
    with pytest.raises(UsageError, match=rf"'a': prices\.{field} is {price}.*leave prices out"):
        msgspec.structs.replace(parse_endpoint("a=http://h/v1"), prices=prices)


@pytest.mark.parametrize("text", ["a=http://me:secret@h/v1", "a=http://h/v1?key=secret"])
def test_a_secret_in_the_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="OPENAI_API_KEY") as caught:
        parse_endpoint(text)
    assert "secret" not in str(caught.value)


@given(st.text())
def test_any_text_is_an_endpoint_or_a_usage_error(text: str) -> None:
    try:
        endpoint = parse_endpoint("a=http://" + text)
    except UsageError:
        return
    assert endpoint.url.startswith("http://")


def test_two_endpoints_of_one_name_are_refused() -> None:
    twice = [parse_endpoint("a=http://h/v1"), parse_endpoint("a=http://g/v1")]
    with pytest.raises(UsageError, match="two endpoints are called 'a'"):
        check_distinct(twice)


def test_endpoints_of_different_names_may_share_a_url() -> None:
    check_distinct([parse_endpoint("a=http://h/v1"), parse_endpoint("b=http://h/v1")])
