"""What a manifest says about how its arms are to be compared."""

import pytest

from engine.report.design import question_of
from tests.report.making import a_manifest


def is_shared(*urls: tuple[str, ...]) -> bool:
    """Whether two arms at these addresses, replicas included, had one machine."""
    manifest = a_manifest("run", ("small", "large"), ("comparison",), 1)
    arms = tuple(
        arm.model_copy(update={"url": url, "others": others})
        for arm, (url, *others) in zip(manifest.arms, urls, strict=True)
    )
    return question_of(manifest.model_copy(update={"arms": arms})).is_shared


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "LOCALHOST", "[::1]"])
def test_all_names_of_this_machine_are_one(host: str) -> None:
    assert is_shared(("http://127.0.0.1:8001/v1",), (f"http://{host}:8002/v1",))


def test_a_replica_on_the_machine_of_another_arm_shares_it() -> None:
    first, second, third = (f"https://{name}.example/v1" for name in ("one", "two", "three"))
    assert is_shared((first, second), (third, second))


def test_replicas_of_one_arm_on_one_machine_share_it_with_nobody() -> None:
    ports = ("http://one.example:8001/v1", "http://one.example:8002/v1")
    assert not is_shared(ports, ("http://two.example/v1",))
