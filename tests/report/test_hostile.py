"""Whatever a model writes stays text: on the page, in the script's data, in the drawings."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.report.page.island import Island, island
from engine.report.page.page import in_script, page_of
from engine.report.page.records import Record, Stage, Step, record_of, shorten
from engine.report.redaction import Redaction, redaction_of
from engine.report.run import read_run
from engine.transcript import Call, ExecutionError, Investigation
from tests.report.browser import browser
from tests.report.making import ROOT, Said, make_run

ATTACKS = (
    "</script><script>window.taken = 1</script>",
    "<img src=x onerror='window.taken = 1'>",
    "<svg onload=window.taken=1>",
    "<!--<script>",
    "]]></title></style></textarea></noscript><script>window.taken=1</script>",
    "\"'><iframe srcdoc='<script>parent.taken=1</script>'></iframe>",
    "javascript:window.taken=1",
    "{{ 7 * 7 }}{% raw %}${window.taken = 1}`",
    "\u2028window.taken = 1\u2029\x00\x1b[31m\u202egnp.exe\u202c",
    "&lt;script&gt;window.taken = 1&lt;/script&gt;",
    "<a href=javascript:window.taken=1>click</a><base href=//192.0.2.1>",
    "<meta http-equiv=refresh content='0;url=http://192.0.2.1'>",
)


def talk(_: Investigation) -> list[Said]:
    return [_hostile(attack) for attack in ATTACKS]


def _hostile(attack: str) -> Said:
    return Said(
        reply=f"{attack}\n\n```python {attack}\n{attack}\n```\n{attack}",
        code=attack,
        output=f"{attack}\nKeyError: {attack}",
        error=ExecutionError(attack, attack),
        calls=(
            Call(
                method=attack,
                arguments={attack: attack, "description": attack},
                error=ExecutionError(attack, attack),
            ),
        ),
    )


@pytest.mark.slow
async def test_nothing_that_a_model_writes_is_carried_out(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "hostile", talk, replicates=2)
    run = read_run(run_dir)
    path = run_dir / "report.html"
    path.write_text(page_of(run, redaction_of(run.manifest, run_dir)), encoding="utf-8")
    async with browser(tmp_path) as page:
        await page.goto(path.as_uri())
        await page.until("document.querySelectorAll('#pane .turn[data-key]').length")
        await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        await page.type("#search", "taken")
        await page.until("document.getElementById('found').textContent.includes('investigations')")
        shown = await page.evaluate("document.getElementById('pane').textContent")
        made = await page.evaluate(
            "document.querySelectorAll('main :is(script, img, iframe, base, meta)').length"
        )
        is_taken = await page.evaluate("window.taken !== undefined")
    assert not is_taken
    assert made == 0
    assert page.complaints == []
    assert {asked.partition(":")[0] for asked in page.asked} == {"file"}
    for attack in ATTACKS:
        if attack.isprintable():
            assert attack in shown
    assert "\N{SYMBOL FOR NULL}\N{SYMBOL FOR ESCAPE}[31m\u27e8U+202E\u27e9gnp.exe" in shown
    assert not re.search("[\u202a-\u202e\u2028\u2029\x00\x1b]", shown)


class _Scripts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.found.append(dict(attrs))
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]


def test_the_markup_holds_no_element_that_a_model_wrote(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "hostile", talk, replicates=2)
    run = read_run(run_dir)
    parser = _Scripts()
    parser.feed(page_of(run, redaction_of(run.manifest, run_dir)))
    kinds = [script.get("type") for script in parser.found]
    assert kinds == ["application/json", *["text/plain"] * (1 + len(run.transcripts)), None]
    assert parser.handlers == []


def test_the_script_never_makes_markup_of_text() -> None:
    text = "".join(path.read_text() for path in (ROOT / "engine/report/page/script").glob("*.js"))
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(", text
    )
    assert "</script" not in text
    assert "<!--" not in text


@given(st.dictionaries(st.text(), st.text() | st.sampled_from(ATTACKS)))
def test_data_in_a_script_is_what_it_was_and_no_markup(value: dict[str, str]) -> None:
    text = in_script(value)
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == value


def unpacked(packed: Island, place: int) -> Record:
    primer, chunk = map(base64.b64decode, (packed.primer, packed.chunks[place]))
    data = zlib.decompress(primer + chunk)[packed.n_primer_bytes :]
    return msgspec.json.decode(data, type=Record)


TEXTS = st.text() | st.sampled_from(ATTACKS)
STEPS = st.builds(Step, turn=st.integers(0, 99), reply=TEXTS, action=TEXTS)
RECORDS = st.builds(Record, st.just((Stage("one"),)), st.lists(STEPS, max_size=4).map(tuple))


@given(st.lists(RECORDS, max_size=5))
def test_a_transcript_comes_out_of_the_page_as_it_went_in(records: list[Record]) -> None:
    packed = island(records)
    assert [unpacked(packed, place) for place in range(len(records))] == records
    assert all(re.fullmatch(r"[A-Za-z0-9+/=]*", text) for text in (packed.primer, *packed.chunks))


def test_a_key_and_a_local_path_are_nowhere_in_the_page(tmp_path: Path) -> None:
    key = "sk-not-for-anybody-0123456789"
    place = "/home/zelda-q/models/tiny"
    said = Said(reply=f"I saw {key} in {place}.", output=f"{place}: {key}\n", code=f"x = '{key}'")
    run_dir = make_run(tmp_path / "secret", lambda _: [said])
    run = read_run(run_dir)
    redaction = redaction_of(run.manifest, run_dir, [key])
    records = [record_of(each, (), redaction.text) for each in run.transcripts]
    packed = island(records)
    texts = page_of(run, redaction) + repr([unpacked(packed, n) for n in range(len(records))])
    assert key not in texts
    assert "zelda-q" not in texts
    assert "[secret]" in texts


def test_a_key_in_a_long_argument_is_taken_out_before_it_is_cut(tmp_path: Path) -> None:
    key = "plainkey-Zq8w7e6r5t4y3u2i1o0p9a8s7d6f5g4h"
    call = Call(method="memory.record", arguments={"description": f"{'x' * 40} {key}"})
    run_dir = make_run(tmp_path / "secret", lambda _: [Said(calls=(call,))])
    (transcript, *_) = read_run(run_dir).transcripts
    record = record_of(transcript, (), Redaction(secrets=(key,)).text)
    (shown,) = record.steps[0].blocks[0].calls
    assert key[:8] not in shown
    assert "[secret]" in shown


@pytest.mark.parametrize("n", [10, 8_000, 8_001, 50_000])
def test_a_long_text_keeps_both_ends(n: int) -> None:
    text = "a" * (n // 2) + "b" * (n - n // 2)
    short = shorten(text)
    assert len(short) <= 8_100
    assert (short == text) == (n <= 8_000)
    assert short[0] == "a"
    assert short[-1] == "b"
