"""The two sets of documents differ in their subject and in nothing else."""

import re
from pathlib import Path

import pytest

import phases
from engine.introspection.documents import Documents, open_documents

ROOT = Path(phases.__file__).parent / "heritage"
SETS = ("examination", "free-will")


def opened(name: str) -> Documents:
    return open_documents(ROOT / name)


def test_both_sets_have_the_same_file_names() -> None:
    first, second = ([each.name for each in opened(name).all] for name in SETS)
    assert first == second
    assert 4 <= len(first) <= 6


@pytest.mark.parametrize("name", SETS)
def test_every_document_has_its_length_and_a_title(name: str) -> None:
    for document in opened(name).all:
        assert 300 <= document.n_words <= 900
        assert document.text.startswith(f"# {document.title}\n")


def test_documents_of_the_same_name_are_of_equal_length() -> None:
    for first, second in zip(*(opened(name).all for name in SETS), strict=True):
        assert abs(first.n_words - second.n_words) <= 0.1 * first.n_words
        assert first.text.count("\n\n") == second.text.count("\n\n")


@pytest.mark.parametrize(
    ("name", "subject_of_the_other"),
    [
        ("examination", r"free will|freedom|determin|punish|blame|responsib"),
        ("free-will", r"introspect|examin|self-report|conscious|aware|my construction|measur"),
    ],
)
def test_neither_set_speaks_of_the_subject_of_the_other(
    name: str, subject_of_the_other: str
) -> None:
    for document in opened(name).all:
        assert re.search(subject_of_the_other, document.text, re.IGNORECASE) is None
