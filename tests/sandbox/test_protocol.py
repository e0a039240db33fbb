"""Frames and output: bytes of any origin, cut anywhere."""

import itertools
import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sandbox import printed
from engine.sandbox.plaintext import plain
from engine.sandbox.protocol import (
    Ask,
    Done,
    Failure,
    Frame,
    FrameBuffer,
    FromWorker,
    ViolationError,
    pack,
)

_DONE = Done(7, Failure(kind="E", message="m"))


@given(
    bodies=st.lists(st.binary(max_size=200), max_size=5),
    cuts=st.lists(st.integers(0, 1_200), max_size=8),
)
def test_frames_survive_any_cut(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(len(body).to_bytes(4, "big") + body for body in bodies)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    buffer, found = FrameBuffer(1_000), list[bytes]()
    for start, end in itertools.pairwise(edges):
        buffer.feed(stream[start:end])
        while (body := buffer.take()) is not None:
            found.append(body)
    assert found == bodies
    assert len(buffer) == 0


def test_a_frame_beyond_the_cap_is_refused_by_its_header() -> None:
    buffer = FrameBuffer(10)
    buffer.feed((11).to_bytes(4, "big"))
    with pytest.raises(ViolationError):
        buffer.take()


def test_a_frame_comes_out_as_it_went_in() -> None:
    buffer = FrameBuffer(1_000)
    buffer.feed(pack(_DONE))
    body = buffer.take()
    assert body is not None
    assert msgspec.msgpack.decode(body, type=FromWorker) == _DONE


@pytest.mark.parametrize(
    "frame",
    [
        Ask(7, "m" * 201, msgspec.Raw(b"\x80")),
        Done(7, Failure(kind="E" * 201, message="m")),
        Done(7, Failure(kind="E", message="m" * 2_001)),
        Done(7, Failure(kind="E", message="m", traceback="t" * 5_001)),
    ],
    ids=["method", "kind", "message", "traceback"],
)
def test_a_text_longer_than_honest_workers_send_is_refused(frame: Frame) -> None:
    with pytest.raises(msgspec.ValidationError, match="length <="):
        msgspec.msgpack.decode(pack(frame)[4:], type=FromWorker)


@given(st.binary(max_size=300))
def test_no_bytes_decode_to_anything_but_a_frame(body: bytes) -> None:
    try:
        frame = msgspec.msgpack.decode(body, type=FromWorker)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return
    assert isinstance(frame, msgspec.Struct)


@given(st.text())
def test_shown_text_has_no_control_characters(text: str) -> None:
    shown = plain(text)
    assert all(
        character.isprintable() or ord(character) > 0x9F or character in "\n\t"
        for character in shown
    )
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("bell\x07 null\0", "bell\\x07 null\\x00"),
        ("tab\tline\n", "tab\tline\n"),
        ("déjà 你好 🙂", "déjà 你好 🙂"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_terminal_sequences_are_dropped(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(
    data=st.binary(max_size=9000),
    n_bytes=st.integers(0, 2**63),
    n_dropped=st.integers(0, 2**63),
    n_chars=st.sampled_from([50, 2000]),
)
def test_the_host_believes_nothing_that_a_worker_wrote(
    data: bytes, n_bytes: int, n_dropped: int, n_chars: int
) -> None:
    fd = printed.create(n_chars)
    try:
        header = b"".join(number.to_bytes(8, "little") for number in (7, n_bytes, n_dropped))
        os.pwrite(fd, (header + data)[: printed.size_bytes(n_chars)], 0)
        text, told = printed.read(fd, 7, n_chars)
        other = printed.read(fd, 8, n_chars)
    finally:
        os.close(fd)
    assert len(text) <= n_chars
    assert told == n_dropped
    assert other == ("", 0), "what an earlier block printed"


@given(texts=st.lists(st.text(max_size=1500), max_size=6))
def test_what_was_printed_is_read_whole(texts: list[str]) -> None:
    fd = printed.create(6000)
    try:
        stream = printed.Printed(fd, 6000)
        stream.reset(1)
        stream.write("an earlier block")
        stream.reset(2)
        for text in texts:
            stream.write(text)
        whole = "".join(texts).encode("utf-8", "replace").decode()
        assert printed.read(fd, 2, 6000) == (whole[:6000], max(0, len(whole) - 6000))
    finally:
        os.close(fd)
