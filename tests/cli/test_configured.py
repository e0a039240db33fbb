"""Endpoints in a configuration file: what is read, and what is refused."""

from pathlib import Path

import pytest

from engine.cli.access import access_of
from engine.cli.options import Options
from engine.cli.serving.choice import choose
from engine.cli.serving.configured import read_endpoints
from engine.cli.serving.given import endpoints_of
from engine.endpoint import Endpoint, Prices
from engine.errors import NotReadyError, UsageError
from tests.cli.program import endpoint
from tests.processes import children

WHOLE = """
replicates = 2
[endpoints.7b]
urls = ["https://one.example/v1", "https://two.example"]
model = "Qwen/Qwen2.5-7B-Instruct"
key_env = "LAB_KEY"
headers = { X-Team = "interp", X-Gateway-Key = "Token ${GATEWAY}" }
ca_file = "ca.pem"
proxy = "http://proxy.example:3128"
requests_per_s = 2.5
checkpoint = "owner/weights"
prices = { prompt = 0.2, completion = 0.6 }
system_role = false
[endpoints.3b]
url = "https://three.example/v1"
"""


def written(text: str, folder: Path) -> Path:
    path = folder / "study.toml"
    path.write_text(text)
    return path


def test_every_field_is_read(tmp_path: Path) -> None:
    first, second = read_endpoints(written(WHOLE, tmp_path))
    assert first == Endpoint(
        model="7b",
        url="https://one.example/v1",
        others=("https://two.example/v1",),
        served_model="Qwen/Qwen2.5-7B-Instruct",
        key_variable="LAB_KEY",
        headers={"X-Team": "interp", "X-Gateway-Key": "Token ${GATEWAY}"},
        ca_file=str(tmp_path / "ca.pem"),
        proxy="http://proxy.example:3128",
        requests_per_s=2.5,
        checkpoint="owner/weights",
        prices=Prices(prompt=0.2, completion=0.6),
        has_system_role=False,
    )
    assert second == Endpoint(model="3b", url="https://three.example/v1", served_model="3b")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('modell = "m"', ["'modell'", "'model'"]),
        ('key_env = "sk-123 456"', ["key_env", "name of a variable"]),
        ("requests_per_s = 0", ["requests_per_s"]),
        ('requests_per_s = "5"', ["requests_per_s"]),
        ('verify_tls = "no"', ["verify_tls"]),
        ('headers = { X-Api-Key = "abc" }', ["X-Api-Key", "variable"]),
        ('headers = { X-A = "$" }', ["headers.X-A", "$$"]),
        ('headers = { "X A" = "b" }', ["headers.X A"]),
        ('proxy = "http://me:secret@p.example:1"', ["proxy", "HTTPS_PROXY"]),
        ('proxy = "http:/me:secret@p.example:1"', ["proxy", "HTTPS_PROXY"]),
        ('proxy = "p.example:1"', ["proxy", "no URL"]),
        ('proxy = "http://[::1"', ["proxy", "no URL"]),
        ("prices = { prompt = 1 }", ["completion"]),
        ("prices = { prompt = 1, completion = 2, output = 3 }", ["output"]),
        ('urls = ["ftp://h/v1"]', ["ftp://h/v1", "http"]),
    ],
)
def test_a_wrong_field_is_named(line: str, words: list[str], tmp_path: Path) -> None:
    text = f'[endpoints.a]\nurl = "https://h.example/v1"\n{line}\n'
    with pytest.raises(UsageError) as caught:
        read_endpoints(written(text, tmp_path))
    said = str(caught.value)
    assert not [word for word in ("endpoints.a", "study.toml", *words) if word not in said], said
    assert "secret" not in said.replace("looks like a secret", "")
    assert "sk-123" not in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[endpoints.a]\n", "has no url"),
        ("endpoints = 3\n", "is no table"),
        ("[endpoints]\na = 3\n", r"endpoints\.a"),
        ('[endpoints."a b"]\nurl = "http://h/v1"\n', "the name 'a b'"),
    ],
)
def test_a_table_that_is_none_is_named(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        read_endpoints(written(text, tmp_path))


def test_a_flag_moves_the_address_and_keeps_the_rest(tmp_path: Path) -> None:
    options = Options(endpoint=("7b=http://127.0.0.1:1/v1",), config=written(WHOLE, tmp_path))
    moved, kept = endpoints_of(options)
    assert (moved.url, moved.others) == ("http://127.0.0.1:1/v1", ())
    assert (moved.served_model, moved.key_variable) == ("Qwen/Qwen2.5-7B-Instruct", "LAB_KEY")
    assert kept.model == "3b"


def test_a_flag_adds_an_arm_to_those_of_the_file(tmp_path: Path) -> None:
    options = Options(endpoint=("c=http://h/v1#m",), config=written(WHOLE, tmp_path))
    assert [each.model for each in endpoints_of(options)] == ["7b", "3b", "c"]


def test_variables_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", "sk-lab")
    monkeypatch.setenv("GATEWAY", "g-8842")
    access = access_of(read_endpoints(written(WHOLE, tmp_path))[0])
    assert access.key == "sk-lab"
    assert access.headers == {"X-Team": "interp", "X-Gateway-Key": "Token g-8842"}
    assert access.secrets == ("g-8842",)


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="variable GATEWAY, which is not set"):
        access_of(read_endpoints(written(WHOLE, tmp_path))[0])


def test_a_variable_that_no_header_can_hold_is_named_and_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY", "g-8842\r\nX-Evil: 1")
    with pytest.raises(UsageError, match="header X-Gateway-Key") as caught:
        access_of(read_endpoints(written(WHOLE, tmp_path))[0])
    assert "8842" not in str(caught.value)


async def test_what_opens_an_endpoint_is_kept_from_servers_that_are_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LAB_ENTRY", "LAB_GATE", "LAB_COLOUR"):
        monkeypatch.setenv(name, "blue")
    async with endpoint() as server:
        table = f'[endpoints.a]\nurl = "{server.url}"\nmodel = "{server.served[0]}"\n'
        others = children()
        shown = 'key_env = "LAB_ENTRY"\nheaders = { X-Gate = "$LAB_GATE" }\n'
        config = written(table + shown, tmp_path)
        async with choose(Options(config=config), ("a", "tiny-s")).open(tmp_path):
            (child,) = children() - others
            inherited = {name for name in child.environ() if name.startswith("LAB_")}
    assert inherited == {"LAB_COLOUR"}
