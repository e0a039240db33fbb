"""Secrets and local paths never leave the machine."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.report.redaction import HIDDEN, LOCAL, Redaction

PLAIN = Redaction()


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop1234",
        "hf_abcdefghijklmnopqrstuvwx",
        "ghp_abcdefghijklmnopqrstuvwx12",
        "AKIAABCDEFGHIJKLMNOP",
        "xoxb-1234567890-abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    ],
)
def test_what_has_the_form_of_a_key_is_taken_out(secret: str) -> None:
    assert PLAIN.text(f"key is {secret}.") == f"key is {HIDDEN}."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("OPENAI_API_KEY=abc123def456ghi", f"OPENAI_API_KEY={HIDDEN}"),
        ("Authorization: Bearer abc123def456ghi", f"Authorization: Bearer {HIDDEN}"),
        ('"password": "hunter2hunter2"', f'"password": "{HIDDEN}"'),
        ("https://me:hunter2@host/v1", f"https://{HIDDEN}@host/v1"),
    ],
)
def test_the_value_beside_a_telling_name_is_taken_out(text: str, expected: str) -> None:
    assert PLAIN.text(text) == expected


def test_a_private_key_is_taken_out_whole() -> None:
    block = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\ndef=\n-----END RSA PRIVATE KEY-----"
    assert PLAIN.text(f"a\n{block}\nb") == f"a\n{HIDDEN}\nb"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in /home/alice/models/qwen/config.json:", f"in {LOCAL}/config.json:"),
        ("/home/alice is home", f"{LOCAL} is home"),
        ("'/Users/alice/x'", f"'{LOCAL}/x'"),
        ("/root/.cache/phaselab/vllm", f"{LOCAL}/vllm"),
        ("~/models/qwen", f"{LOCAL}/qwen"),
        ("file:///tmp/run/events.jsonl", f"{LOCAL}/events.jsonl"),
        (r"C:\Users\alice\run\events.jsonl", rf"{LOCAL}/events.jsonl"),
        (r"\\server\group\weights.bin", rf"{LOCAL}/weights.bin"),
    ],
)
def test_a_local_path_keeps_only_the_name_of_the_file(text: str, expected: str) -> None:
    assert PLAIN.text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "model.layers.0.self_attn.q_proj.weight has mean -1.2e-05",
        "attention/MLP: 1/3 of 2/5, and/or",
        "http://127.0.0.1:8000/v1/chat/completions",
        "token = embeddings[12]; the secret of attention is simple",
        "Qwen/Qwen2.5-7B-Instruct",
        "print(x // y)  # 7//2",
        "a 64-bit hash: 5f4dcc3b5aa765d61d8327deb882cf99",
    ],
)
def test_what_models_write_about_themselves_is_left_alone(text: str) -> None:
    assert PLAIN.text(text) == text


def test_known_keys_and_directories_go_wherever_they_stand() -> None:
    known = Redaction(secrets=("correct-horse",), places=("/mnt2/labs", "/mnt2/labs/run 7"))
    text = "correct-horse in /mnt2/labs/run 7/a.json and /mnt2/labs/x, not /mnt2/labsite"
    assert known.text(text) == (
        f"{HIDDEN} in {LOCAL}/run 7/a.json and {LOCAL}/labs/x, not /mnt2/labsite"
    )


def test_a_value_is_redacted_in_depth_keys_included() -> None:
    value = {"/home/alice/a": ["/home/alice/b", {"n": 3, "key": "hf_abcdefghijklmnopqrstuvwx"}]}
    assert PLAIN.value(value) == {f"{LOCAL}/a": [f"{LOCAL}/b", {"n": 3, "key": HIDDEN}]}


@given(st.text(), st.text(min_size=6))
def test_a_known_secret_is_never_left(around: str, secret: str) -> None:
    redacted = Redaction(secrets=(secret,)).text(around + secret + around)
    assert secret not in redacted.replace(HIDDEN, "")


@given(st.text(alphabet="/\\ab:~sk-_. \n"))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = PLAIN.text(text)
    assert PLAIN.text(once) == once


@pytest.mark.parametrize(
    "unit", ["/home/a", "sk-", "eyJ", "api_key=", "\\\\a", "-----BEGIN ", "a "]
)
def test_a_long_text_takes_time_in_proportion(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    began = time.process_time()
    PLAIN.text(text)
    assert time.process_time() - began < 5
