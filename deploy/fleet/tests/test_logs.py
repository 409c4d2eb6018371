from deploy.fleet.logs import last_line, rotate, size


def test_the_last_line_with_text_explains(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("first\nTraceback\nValueError: no\n\n  \n")
    assert last_line(path) == "ValueError: no"


def test_lines_of_an_earlier_process_explain_nothing(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("old trouble\n")
    begin = size(path)
    assert last_line(path, begin) == ""
    with path.open("a") as file:
        file.write("new trouble")
    assert last_line(path, begin) == "new trouble"


def test_a_truncated_log_is_read_from_its_start(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("short\n")
    assert last_line(path, 10_000) == "short"


def test_a_long_line_is_cut_and_odd_bytes_do_no_harm(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(b"\xff" + b"x" * 1000)
    assert len(last_line(path)) == 300


def test_no_log_no_line(tmp_path):
    assert last_line(tmp_path / "none") == "" and size(tmp_path / "none") == 0


def test_a_log_that_outgrew_its_limit_is_moved_and_its_writer_goes_on(tmp_path):
    path = tmp_path / "a.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"x" * 100)
        assert not rotate(path, 100)
        writer.write(b"y")
        assert rotate(path, 100)
        writer.write(b"after")
    assert path.read_bytes() == b"after"
    assert (tmp_path / "a.log.1").read_bytes() == b"x" * 100 + b"y"


def test_a_missing_log_needs_no_rotation(tmp_path):
    assert not rotate(tmp_path / "none", 1)
