"""Tables read in chunks: from any chunk on alike, without reading what lies before, and CSV as it is found."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from monitoring.adapters.tables import csv_file
from monitoring.adapters.tables.folder import Folder
from monitoring.adapters.tables.places import Places
from registry.errors import Invalid

KINDS = ["csv", "parquet", "npz", "compressed"]


def write(folder, kind, rows):
    folder.mkdir(exist_ok=True)
    values = np.random.default_rng(1).random((rows, 3)).astype(np.float32)
    table = pa.table({f"X_{index}": values[:, index] for index in range(3)})
    if kind == "csv":
        pyarrow.csv.write_csv(table, folder / "rows.csv")
    elif kind == "parquet":
        pq.write_table(table, folder / "rows.parquet", row_group_size=20_000)
    else:
        {"npz": np.savez, "compressed": np.savez_compressed}[kind](
            folder / "rows.npz", X=values, y=values[:, 0]
        )
    return Folder(str(folder))


def alike(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("kind", KINDS)
def test_reading_goes_on_after_any_chunk_as_if_it_had_never_stopped(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(csv_file, "BLOCK", 1_000)
    folder = write(tmp_path / "in", kind, 2_000)
    (name,) = folder.files()
    whole = list(folder.chunks(name, 130))
    assert sum(chunk.rows for chunk in whole) == 2_000 and whole[-1].share == 1.0
    for number, chunk in enumerate(whole):
        rest = list(folder.chunks(name, 130, chunk.after))
        assert len(rest) == len(whole) - number - 1
        assert all(alike(a.columns, b.columns) for a, b in zip(rest, whole[number + 1 :], strict=True))
        assert [a.after for a in rest] == [b.after for b in whole[number + 1 :]]


def _bytes_read():
    text = Path("/proc/self/io").read_text()
    return int(text.split("rchar: ")[1].split()[0])


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_what_lies_before_the_place_is_not_read_again(tmp_path, kind):
    folder = write(tmp_path / "in", kind, 400_000)
    ((name, size),) = folder.files().items()
    *_, before_last, _ = folder.chunks(name, 5_000)
    begun = _bytes_read()
    (last,) = folder.chunks(name, 5_000, before_last.after)
    # The first block of a CSV shows its types, the end of a Parquet file where its rows lie.
    assert last.rows == 5_000 and _bytes_read() - begun < max(3 << 20, size // 4)
    assert size > 4 << 20


ODD = [
    ("a,b\r\n1,2\r\n\r\n3,4", [[1, 2], [3, 4]]),
    ("\ufeffa,b\n1,2\n", [[1, 2]]),
    ('a,b\n1,"two, and\na ""half"""\n2,three\n', [[1, 'two, and\na "half"'], [2, "three"]]),
    ("a,b\n", []),
    ("a,b\n1,2\n\n\n", [[1, 2]]),
]


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
@pytest.mark.parametrize(("text", "rows"), ODD, ids=["crlf", "mark", "quotes", "no rows", "blank lines"])
def test_a_csv_is_read_as_it_is_found_whatever_the_blocks(tmp_path, monkeypatch, text, rows, block):
    (tmp_path / "odd.csv").write_text(text, newline="")
    # The first block shows the types, so it must show some.
    first = csv_file._head

    def head(file, size, wanted):
        monkeypatch.setattr(csv_file, "BLOCK", 1 << 20)
        found = first(file, size, wanted)
        monkeypatch.setattr(csv_file, "BLOCK", block)
        return found

    monkeypatch.setattr(csv_file, "_head", head)
    chunks = list(Folder(str(tmp_path)).chunks("odd.csv", 1))
    assert [[column[0] for column in chunk.columns.values()] for chunk in chunks] == rows


def test_a_large_csv_with_quoted_line_feeds_is_read_as_python_reads_it(tmp_path):
    text = "".join(f'{n},"line {n}\nand ""{n * 7}"" more"\n' for n in range(60_000))
    (tmp_path / "notes.csv").write_text("a,b\n" + text)
    found = [
        (int(a), b)
        for chunk in Folder(str(tmp_path)).chunks("notes.csv", 7_777)
        for a, b in zip(*chunk.columns.values(), strict=True)
    ]
    assert found == [(int(a), b) for a, b in csv.reader(io.StringIO(text))]


def test_a_column_has_the_type_that_the_model_takes_not_that_of_its_first_rows(tmp_path):
    rows = ["1,007,9"] * 200_000 + ["2.5,abc,9"]
    (tmp_path / "rows.csv").write_text("\n".join(["x,code,more", *rows, ""]))
    chunks = list(Folder(str(tmp_path)).chunks("rows.csv", 50_000, None, {"x": "float32", "code": "string"}))
    assert chunks[0].columns["code"][0] == "007" and "more" not in chunks[0].columns
    assert chunks[-1].columns["x"].tolist() == [2.5]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.csv", b"", "Empty CSV"),
        ("rows.csv", b"a,a\n1,2\n", "twice"),
        ("rows.csv", b"a,b\n1\n", "Expected 2 columns"),
        ("rows.csv", b'a,b\n"1,2\n' * 3, "cannot be read"),
        ("rows.npz", b"PK\x03\x04 and no more", "cannot be read"),
        ("rows.parquet", b"PAR1 and no more", "cannot be read"),
    ],
    ids=["empty", "doubled", "ragged", "open quote", "cut npz", "cut parquet"],
)
def test_a_broken_table_is_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid, match=said):
        list(Folder(str(tmp_path)).chunks(name, 10))


def test_a_list_in_each_row_is_a_matrix_and_unequal_ones_are_refused(tmp_path):
    pq.write_table(pa.table({"X": [[1.0, 2.0], [3.0, 4.0]]}), tmp_path / "even.parquet")
    pq.write_table(pa.table({"X": [[1.0], [3.0, 4.0, 5.0]]}), tmp_path / "odd.parquet")
    folder = Folder(str(tmp_path))
    (chunk,) = folder.chunks("even.parquet", 10)
    assert chunk.columns["X"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(Invalid, match="not all of the same length"):
        list(folder.chunks("odd.parquet", 10))


def test_one_file_is_a_folder_of_one(tmp_path):
    write(tmp_path, "csv", 10)
    write(tmp_path, "npz", 10)
    assert list(Folder(str(tmp_path / "rows.csv")).files()) == ["rows.csv"]


ROOTS = Places(["/srv/tables", "s3://key:secret@lake/all?region=eu-west-1"])


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("/srv/tables/customers", "/srv/tables/customers"),
        ("customers/2026", "/srv/tables/customers/2026"),
        ("s3://lake/all/customers", "s3://key:secret@lake/all/customers?region=eu-west-1"),
        ("s3://lake/all", "s3://key:secret@lake/all?region=eu-west-1"),
    ],
)
def test_a_place_below_the_roots_is_found_with_the_options_of_its_root(place, found):
    assert ROOTS.resolve(place, field="source") == found


@pytest.mark.parametrize(
    "place",
    [
        "/etc", "/srv/tables/../../etc", "/srv/tables2", "s3://lake/allother", "s3://other/all", "file:///etc",
        "s3://lake/all/x?endpoint_override=169.254.169.254", "s3://me@lake/all", "s3://lake/all/../other",
    ],
)  # fmt: skip
def test_a_place_elsewhere_is_refused_without_a_word_of_the_keys(place):
    with pytest.raises(Invalid) as refused:
        ROOTS.resolve(place, field="source")
    assert "s3://lake/all" in str(refused.value) and "secret" not in str(refused.value)


def test_a_link_that_leads_out_is_refused(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "out").symlink_to(tmp_path)
    with pytest.raises(Invalid, match="may not be kept there"):
        Places([str(tmp_path / "root")]).resolve("out/x", field="target")
