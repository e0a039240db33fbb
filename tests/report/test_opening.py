"""report.html in a real browser: opened from a file, searched, linked to, read by keyboard."""

from pathlib import Path

import pytest

from engine.report.page.page import page_of
from engine.report.redaction import redaction_of
from engine.report.run import read_run
from engine.transcript import ExecutionError, Investigation, StopReason
from tests.report.browser import Page, browser
from tests.report.making import Said, make_run, plausible

pytestmark = pytest.mark.slow

MOST_BYTES = 15_000_000
OPENS_WITHIN_S = 3.0


def page_in(run_dir: Path) -> str:
    """Write the report of a run and return its address."""
    run = read_run(run_dir)
    path = run_dir / "report.html"
    path.write_text(page_of(run, redaction_of(run.manifest, run_dir)), encoding="utf-8")
    return path.as_uri()


def talk(case: Investigation) -> list[Said]:
    """The large model stops after 4 turns, the small one after 6; their words differ."""
    word = "quartz" if case.id == "large.comparison.2" else "slate"
    return [
        Said(
            reply=f"{case.model} looks at {word} {turn}.\n\n```python\nprint({turn})\n```",
            code=f"print({turn})",
            output=f"{turn}\n" * 8,
            error=ExecutionError("KeyError", "'x'") if turn == 1 else None,
        )
        for turn in range(6 if case.model == "small" else 4)
    ]


@pytest.fixture
def address(tmp_path: Path) -> str:
    return page_in(make_run(tmp_path / "stones", talk))


async def opened(page: Page, address: str) -> None:
    await page.goto(address)
    await page.until("document.querySelector('#pane .turn')")


async def test_it_opens_from_a_file_without_a_complaint_or_a_request(
    address: str, tmp_path: Path
) -> None:
    async with browser(tmp_path) as page:
        await opened(page, address)
        verdict = await page.evaluate("document.querySelector('#verdict .answer').innerText")
        n_drawn = await page.evaluate("document.querySelectorAll('#differences svg').length")
    assert "small and large" in verdict
    assert n_drawn > 10
    assert page.complaints == []
    assert {asked.partition(":")[0] for asked in page.asked} == {"file"}


async def test_search_finds_a_word_and_leads_to_its_turn(address: str, tmp_path: Path) -> None:
    async with browser(tmp_path) as page:
        await opened(page, address)
        await page.type("#search", "Quartz 3")
        await page.until("document.getElementById('found').textContent.startsWith('1 text ')")
        await page.evaluate("document.querySelector('#results a').click()")
        await page.until("document.querySelector('.turn.target')")
        target = await page.evaluate("document.querySelector('.turn.target').dataset.key")
        text = await page.evaluate("document.querySelector('.turn.target').innerText")
    assert target == "large.comparison.2/4"
    assert "large looks at quartz 3." in text
    assert page.complaints == []


async def test_a_permalink_scrolls_to_its_turn(address: str, tmp_path: Path) -> None:
    async with browser(tmp_path) as page:
        await page.goto(f"{address}#large.comparison.1/4")
        await page.until("document.activeElement.dataset.key === 'large.comparison.1/4'")
        top = await page.evaluate("document.activeElement.getBoundingClientRect().top")
        scrolled = await page.evaluate("scrollY")
    assert 0 <= top < 200
    assert scrolled > 1000


async def test_every_turn_has_the_permalink_that_it_copies(address: str, tmp_path: Path) -> None:
    async with browser(tmp_path) as page:
        await opened(page, address)
        links = await page.evaluate(
            "[...document.querySelectorAll('.turn:not(.none)')].map(turn => ["
            "turn.querySelector('.permalink').hash.slice(1),"
            "turn.querySelector('[data-copy]').dataset.copy, turn.dataset.key])"
        )
    assert len(links) == 10
    assert all(link == copied == key for link, copied, key in links)


async def test_turns_stand_side_by_side_aligned(address: str, tmp_path: Path) -> None:
    async with browser(tmp_path) as page:
        await opened(page, address)
        places = await page.evaluate(
            "Object.fromEntries([...document.querySelectorAll('.turn[data-key]')].map(turn => {"
            "const box = turn.getBoundingClientRect();"
            "return [turn.dataset.key, [box.top, box.left]]; }))"
        )
    for turn in range(1, 5):
        small, large = places[f"small.comparison.0/{turn}"], places[f"large.comparison.0/{turn}"]
        assert small[0] == large[0]
        assert small[1] < large[1]
    assert "large.comparison.0/5" not in places


async def test_the_list_is_walked_by_keyboard(address: str, tmp_path: Path) -> None:
    async with browser(tmp_path) as page:
        await opened(page, address)
        await page.press("/")
        assert await page.evaluate("document.activeElement.id") == "search"
        await page.evaluate("document.getElementById('list').focus()")
        for key in ("ArrowDown", "ArrowDown", "Enter"):
            await page.press(key)
        await page.until("document.querySelector('[data-key=\"small.comparison.2/1\"]')")
        assert await page.evaluate("location.hash") == "#small.comparison.2"


async def test_verdict_and_figures_are_there_without_scripts(address: str, tmp_path: Path) -> None:
    async with browser(tmp_path, has_scripts=False) as page:
        await page.goto(address)
        shown = await page.shown()
    assert "Verdict" in shown
    assert "small and large" in shown
    assert "transcripts/" in shown


@pytest.mark.parametrize("width", [360, 820, 1600])
async def test_it_fits_a_screen_of_any_width(address: str, tmp_path: Path, width: int) -> None:
    async with browser(tmp_path) as page:
        await page.resize(width, 800)
        await opened(page, address)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width


CONTRASTS = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const light = (colour) => {
    const [r, g, b] = rgb(colour).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/rgba\\(.*, 0\\)|\\/ 0\\)/.test(colour) && !/ \\/ 0\\.\\d/.test(colour)) return colour;
    }
    return "Canvas";
  };
  const found = {};
  for (const element of document.querySelectorAll("body *:not(script, style, noscript)")) {
    const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!says || !element.checkVisibility() || element.closest("svg")) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(behind(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found[`${element.tagName}.${element.className}`] = ratio.toFixed(2);
  }
  return found;
})()
"""


@pytest.mark.parametrize("is_dark", [False, True])
async def test_every_text_has_enough_contrast(address: str, tmp_path: Path, is_dark: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    async with browser(tmp_path) as page:
        await page.resize(1280, 900, is_dark=is_dark)
        await opened(page, address)
        await page.type("#search", "slate")
        await page.until("document.querySelector('#results li')")
        assert await page.evaluate(CONTRASTS) == {}


async def test_one_arm_and_an_unfinished_run_are_shown_too(tmp_path: Path) -> None:
    killed = make_run(tmp_path / "killed", talk, models=("small",), ends=lambda _: None)
    async with browser(tmp_path) as page:
        await opened(page, page_in(killed))
        verdict = await page.evaluate("document.querySelector('#verdict .answer').innerText")
        left_out = await page.evaluate("document.querySelector('#left-out').innerText")
        head = await page.evaluate("document.querySelector('.heads').innerText")
    assert "nothing to compare" in verdict
    assert "small.comparison.1" in left_out
    assert "not finished" in head
    assert page.complaints == []


async def test_a_run_without_a_turn_is_shown(tmp_path: Path) -> None:
    def lost(_: Investigation) -> StopReason:
        return StopReason.SERVER_LOST

    empty = make_run(tmp_path / "empty", lambda _: [], ends=lost)
    async with browser(tmp_path) as page:
        await page.goto(page_in(empty))
        await page.until("document.querySelector('.heads')")
        head = await page.evaluate("document.querySelector('.heads').innerText")
    assert "ended by infrastructure" in head
    assert page.complaints == []


@pytest.mark.timeout(900)
async def test_a_thousand_transcripts_of_twenty_turns_open_at_once(tmp_path: Path) -> None:
    address = page_in(make_run(tmp_path / "large", plausible(20), replicates=500))
    n_bytes = (tmp_path / "large" / "report.html").stat().st_size
    async with browser(tmp_path) as page:
        took_s = [await _opening_s(page, f"{address}#large.comparison.{n}/15") for n in (40, 490)]
        n_rows = await page.evaluate("document.querySelectorAll('#list .option').length")
        began_s = page.computed_s()
        await page.type("#search", "no such words anywhere")
        await page.until("document.getElementById('found').textContent.startsWith('nothing')")
        searched_s = page.computed_s() - began_s
    print(f"{n_bytes:,} bytes; opened in {took_s} s, searched in {searched_s:.1f} s")  # noqa: T201
    assert n_bytes <= MOST_BYTES
    assert min(took_s) <= OPENS_WITHIN_S
    assert n_rows < 40
    assert page.complaints == []


async def _opening_s(page: Page, address: str) -> float:
    """Seconds of the processor until the turn that is linked to is in sight."""
    await page.goto("about:blank")
    began_s = page.computed_s()
    await page.goto(address)
    await page.until("document.querySelector('.turn.target')")
    return round(page.computed_s() - began_s, 2)
