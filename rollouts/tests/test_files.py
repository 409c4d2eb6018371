from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from rollouts.adapters.files import read_document, replace_document
from rollouts.errors import StaleWrite, WorldUnavailable


def test_the_same_document_is_not_written_twice(tmp_path):
    path = tmp_path / "a" / "e.json"
    assert replace_document(path, {"generation": 1, "x": 1})
    assert not replace_document(path, {"generation": 1, "x": 1})


def test_a_newer_generation_is_never_overwritten_by_an_older_one(tmp_path):
    path = tmp_path / "e.json"
    replace_document(path, {"generation": 5, "weight": 0})
    with pytest.raises(StaleWrite, match="generation 5"):
        replace_document(path, {"generation": 4, "weight": 50})
    assert read_document(path)["weight"] == 0


def test_concurrent_writers_leave_the_newest_generation(tmp_path):
    path = tmp_path / "e.json"

    def write(generation: int) -> None:
        with contextlib.suppress(StaleWrite):
            replace_document(path, {"generation": generation})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, [*range(40), *reversed(range(40))]))
    assert read_document(path) == {"generation": 39}
    assert [
        p.name for p in tmp_path.iterdir() if p.name.startswith(".e.json.") and "lock" not in p.name
    ] == []


def test_a_missing_file_is_nothing_and_a_broken_one_is_an_unknown_world(tmp_path):
    assert read_document(tmp_path / "none.json") is None
    for text in ("{", "[]", ""):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(WorldUnavailable, match="bad.json"):
            read_document(tmp_path / "bad.json")


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text(json.dumps({}))
    with pytest.raises(WorldUnavailable, match="cannot be written"):
        replace_document(tmp_path / "file" / "e.json", {"generation": 1})
