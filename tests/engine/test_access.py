"""What is shown to an endpoint stays out of every text."""

from engine.access import Access


def test_a_key_that_another_secret_begins_with_leaves_nothing_of_it() -> None:
    access = Access(key="sk-1", secrets=("sk-1-gateway-123",))
    assert access.hidden("no sk-1, no sk-1-gateway-123") == "no [key], no [key]"
