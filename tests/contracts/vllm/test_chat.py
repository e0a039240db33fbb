"""The suite over all chat backends, on a real vLLM server."""

from collections.abc import AsyncGenerator

import pytest

from tests.contracts.test_chat import *  # noqa: F403 - the suite's tests, whatever they are
from tests.contracts.test_chat import ChatCase, served_at
from tests.contracts.vllm.pair import Served

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
async def chat_case(vllm_pair: Served) -> AsyncGenerator[ChatCase]:
    async with served_at(vllm_pair.endpoints[0]) as case:
        yield case
