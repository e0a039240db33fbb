from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from servers.embedded.files import DamagedFileError, check_json, check_safetensors
from servers.embedded.gguf import check_gguf

_REUSES_DIRECTORY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)


def test_whole_files_pass(checkpoint: Path) -> None:
    check_gguf(checkpoint / "model.gguf")
    check_safetensors(checkpoint / "model.safetensors")
    check_json(checkpoint / "config.json")


@_REUSES_DIRECTORY
@given(share=st.floats(min_value=0, max_value=1, exclude_max=True))
def test_a_gguf_cut_anywhere_is_damaged(share: float, checkpoint: Path, tmp_path: Path) -> None:
    whole = (checkpoint / "model.gguf").read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DamagedFileError):
        check_gguf(cut)


@_REUSES_DIRECTORY
@given(share=st.floats(min_value=0, max_value=1, exclude_max=True))
def test_a_safetensors_file_cut_anywhere_is_damaged(
    share: float, checkpoint: Path, tmp_path: Path
) -> None:
    whole = (checkpoint / "model.safetensors").read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DamagedFileError):
        check_safetensors(cut)


@_REUSES_DIRECTORY
@given(junk=st.binary(max_size=200), has_magic=st.booleans())
def test_junk_is_damaged(junk: bytes, has_magic: bool, tmp_path: Path) -> None:  # noqa: FBT001 - drawn
    assume(not junk.lstrip().startswith(b"{"))  # `{}` is an object, however little it says
    file = tmp_path / "junk"
    file.write_bytes((b"GGUF\x03\0\0\0\x01" if has_magic else b"") + junk)
    for check in (check_gguf, check_safetensors, check_json):
        with pytest.raises(DamagedFileError):
            check(file)


def test_json_without_an_end_to_its_depth_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(DamagedFileError, match="not JSON"):
        check_json(file)
