"""The token is made once, whole, for its owner alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ltmld.admin import token
from ltmld.errors import DaemonAbsentError, RefusedError


def test_the_token_stays_the_same_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    first = token.load_or_make(tmp_path / "new")
    assert token.load_or_make(tmp_path / "new") == first == token.read(tmp_path / "new")
    assert (tmp_path / "new" / "admin.token").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["admin.token"]


def test_two_folders_have_two_tokens(tmp_path: Path) -> None:
    assert token.load_or_make(tmp_path / "a") != token.load_or_make(tmp_path / "b")


def test_many_who_make_it_at_once_end_with_one_token(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: token.load_or_make(tmp_path), range(32)))
    assert len(made) == 1


def test_a_token_that_others_may_read_is_closed_again(tmp_path: Path) -> None:
    token.load_or_make(tmp_path)
    (tmp_path / "admin.token").chmod(0o644)
    token.load_or_make(tmp_path)
    assert (tmp_path / "admin.token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 64])
def test_a_file_without_a_token_is_refused_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "admin.token").write_bytes(content)
    with pytest.raises(RefusedError, match=r"admin\.token"):
        token.load_or_make(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusedError, match="file"):
        token.load_or_make(tmp_path / "file" / "data")


def test_without_a_daemon_there_is_no_token(tmp_path: Path) -> None:
    with pytest.raises(DaemonAbsentError, match="ltmld serve"):
        token.read(tmp_path)
