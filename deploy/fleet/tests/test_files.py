import threading

import pytest

from deploy.files import BadFile, FileWatch, FolderWatch, parse_object, write_atomically, write_json


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"n": 0, "fill": ""})
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            write_json(path, {"n": number, "fill": "x" * (number % 50_000)})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            assert "n" in parse_object(path.read_bytes())
    finally:
        stop.set()
        writer.join()


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    write_json(tmp_path / "a.json", {"n": 1})
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "a.json", "text")
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]
    assert parse_object((tmp_path / "a.json").read_bytes()) == {"n": 1}


def test_files_are_readable_by_their_owner_only(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {})
    assert (tmp_path / "deep" / "a.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("data", [b"", b"[1]", b"\xff", b"nul"])
def test_only_json_objects_are_accepted(data):
    with pytest.raises(BadFile):
        parse_object(data)


def test_a_folder_watch_reports_added_changed_and_removed_files_once(tmp_path):
    watch = FolderWatch(tmp_path / "routes")
    assert list(watch.changes()) == []
    write_json(tmp_path / "routes" / "a.json", 1)
    (tmp_path / "routes" / "notes.txt").write_text("no")
    (tmp_path / "routes" / ".a.json").write_text("no")
    assert list(watch.changes()) == [("a", b"1\n")]
    assert list(watch.changes()) == []
    write_json(tmp_path / "routes" / "a.json", 2)
    assert list(watch.changes()) == [("a", b"2\n")]
    (tmp_path / "routes" / "a.json").unlink()
    assert list(watch.changes()) == [("a", None)]
    assert list(watch.changes()) == []


def test_a_file_replaced_by_one_of_equal_size_is_noticed(tmp_path):
    watch = FileWatch(tmp_path / "a.json")
    assert watch.changed() is None
    for number in range(5):
        write_json(tmp_path / "a.json", number)
        assert watch.changed() == f"{number}\n".encode()
        assert watch.changed() is None
