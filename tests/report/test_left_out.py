"""What is said of investigations that are left out is true of every figure."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.report.claims import left_out, totals
from engine.report.page.page import page_of
from engine.report.page.view import view_of
from engine.report.redaction import Redaction
from engine.report.run import Run, read_run
from engine.report.table import markdown
from engine.transcript import Investigation, StopReason
from tests.report.making import Said, make_run

CLAIM = Said(reply="I recorded the finding.", code=None)
NO_FIGURE = "These investigations are in no figure."
NO_PARTNER = "These have no partner:"


def ends(case: Investigation) -> StopReason:
    is_lost = case.model == "large" and case.replicate == 0
    return StopReason.SERVER_LOST if is_lost else StopReason.COMPLETED


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The first investigation of the second model is lost, so that of the first has no partner."""
    return read_run(make_run(tmp_path / "run", lambda _: [CLAIM], replicates=2, ends=ends))


def lines_of(run: Run) -> Sequence[str]:
    return page_of(run, Redaction()).splitlines()


def links_below(lines: Sequence[str], words: str) -> set[str]:
    """Return the investigations in the table below the line with `words`."""
    start = next(place for place, line in enumerate(lines) if words in line)
    end = next(place for place in range(start, len(lines)) if "</table>" in lines[place])
    return {line.split('href="#')[1].split('"')[0] for line in lines[start:end] if "href" in line}


def test_a_table_of_claims_has_none_of_an_investigation_that_is_in_no_figure(run: Run) -> None:
    view = view_of(run, Redaction())
    assert {model: counts.pretended for model, counts in view.claims.items()} == {
        "small": 2,
        "large": 1,
    }
    assert len(view.claims_to_see) == 3


def test_totals_of_claims_leave_out_what_is_in_no_figure(run: Run) -> None:
    ids = [each.investigation for each in run.measures]
    ledgers = dict(zip(ids, run.ledgers, strict=True))
    models = {each.investigation: each.model for each in run.measures}
    found = totals(ledgers, models, left_out(run.cases()))
    assert {model: counts.claims for model, counts in found.items()} == {"small": 2, "large": 1}


def test_what_is_in_no_figure_is_told_from_what_has_no_partner(run: Run) -> None:
    lines = lines_of(run)
    assert links_below(lines, NO_FIGURE) == {"large.comparison.0"}
    assert links_below(lines, NO_PARTNER) == {"small.comparison.0"}


def test_where_nothing_is_left_out_the_page_says_so(tmp_path: Path) -> None:
    page = "".join(lines_of(read_run(make_run(tmp_path / "run", lambda _: [CLAIM]))))
    assert "Nothing: every investigation is in the figures." in page
    assert NO_FIGURE not in page
    assert NO_PARTNER not in page


def test_what_has_no_end_is_not_said_to_be_ended_by_infrastructure(tmp_path: Path) -> None:
    def begun(case: Investigation) -> StopReason | None:
        return None if case.model == "large" else StopReason.COMPLETED

    shown = markdown(read_run(make_run(tmp_path / "run", lambda _: [CLAIM], ends=begun)))
    assert "| left out (infrastructure) | 0 | 0 |" in shown
    assert "| left out (not finished) | 0 | 3 |" in shown
