from pathlib import Path

import pytest

from engine.errors import CapabilityError, NotReadyError
from engine.introspection.documents import Documents, open_documents
from engine.introspection.heritage import Heritage
from engine.introspection.subject import Subject
from engine.introspection.table import CapabilityTable
from engine.sandbox import Workspace
from engine.transcript import Call


@pytest.fixture
def heritage(documents: Documents) -> Heritage:
    return Heritage(documents)


def test_documents_come_in_the_order_of_their_file_names(heritage: Heritage) -> None:
    assert heritage.get_summary() == {
        "n_documents": 2,
        "n_words": 20,
        "reading_order": {"01-measured": "What was measured", "02-open": "02-open"},
    }


def test_a_document_is_read_by_its_name_with_or_without_ending(heritage: Heritage) -> None:
    read = heritage.read_document("02-open.md")
    assert read == heritage.read_document("02-open")
    assert read["text"] == "Whether that says anything\nis an open question."


def test_an_unknown_document_is_answered_with_the_near_one(heritage: Heritage) -> None:
    with pytest.raises(CapabilityError, match="did you mean '01-measured'"):
        heritage.read_document("01_measured")


async def test_search_returns_the_paragraphs_that_match_best(heritage: Heritage) -> None:
    assert await heritage.query_documents("was embedding tied", limit=1) == [
        {
            "name": "01-measured",
            "title": "What was measured",
            "passage": "The embeddings were tied.",
        }
    ]


async def test_headings_are_not_passages(heritage: Heritage) -> None:
    assert await heritage.query_documents("measured") == []


def test_notes_are_counted_by_kind(heritage: Heritage) -> None:
    heritage.save_reflection("one")
    assert heritage.save_reflection("two") == {"kind": "reflection", "n_stored": 2}
    assert heritage.record_discovery("a", "b", {"c": 1}) == {"kind": "discovery", "n_stored": 1}
    assert heritage.create_message_to_claude("x") == {"kind": "message", "n_stored": 1}


def test_an_empty_note_is_refused(heritage: Heritage) -> None:
    with pytest.raises(CapabilityError, match="reflection is empty"):
        heritage.save_reflection(" ")


def test_a_directory_without_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="no Markdown file"):
        open_documents(tmp_path)


def test_a_document_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NotReadyError, match=r"a\.md is not UTF-8"):
        open_documents(tmp_path)


async def test_what_is_granted_later_is_absent_before(
    subject: Subject, documents: Documents
) -> None:
    table = CapabilityTable(["memory"], subject=subject, documents=documents)
    with pytest.raises(CapabilityError, match="no function"):
        await table.answer("heritage.list_documents", {})
    changed = table.grant("heritage")
    assert set(changed) == {"introspection", "introspection.heritage"}
    assert [name for name, _ in table.lines] == ["memory", "heritage"]
    assert await table.answer("heritage.list_documents", {})


async def test_a_later_grant_keeps_what_was_stored(subject: Subject, documents: Documents) -> None:
    table = CapabilityTable(["memory"], subject=subject, documents=documents)
    await table.answer("memory.record_observation", {"description": "mine"})
    table.grant("memory", "heritage")
    assert [name for name, _ in table.lines] == ["memory", "heritage"]
    assert await table.answer("memory.list_categories", {}) == {"general": 1}


async def test_recorded_notes_are_counted_again(subject: Subject, documents: Documents) -> None:
    table = CapabilityTable(["heritage"], subject=subject, documents=documents)
    arguments: dict[str, object] = {"reflection": "one"}
    table.restore([Call(method="heritage.save_reflection", arguments=arguments, answer={})])
    left = await table.answer("heritage.save_reflection", {"reflection": "two"})
    assert left == {"kind": "reflection", "n_stored": 2}


async def test_help_says_the_same_whatever_the_documents(
    subject: Subject, documents: Documents, workspace: Workspace
) -> None:
    empty = CapabilityTable(["heritage"], subject=subject, documents=Documents(()))
    full = CapabilityTable(["heritage"], subject=subject, documents=documents)
    assert empty.modules == full.modules
    shown = await workspace.execute("from introspection import heritage\nhelp(heritage)")
    assert "01-measured" not in shown.output
