"""Rows from csv, JSON and standard input; models whose input is no image."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from triveni.cli import inputs
from triveni.cli.errors import CommandFailed
from triveni.cli.inputs import Row, read_rows

FLOWER = (4,)


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refused(path: Path, shape: tuple[int, ...] = FLOWER) -> str:
    with pytest.raises(CommandFailed) as caught:
        read_rows([path], shape)
    assert caught.value.code == 2
    return str(caught.value).removeprefix(f"{path}: ")


def values(rows: list[Row]) -> list[list[float]]:
    return [row.values.tolist() for row in rows]


def test_each_line_of_csv_is_a_row(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "1,2,3,4\n5,6,7,8.5\n")
    rows = read_rows([path], FLOWER)
    assert values(rows) == [[1, 2, 3, 4], [5, 6, 7, 8.5]]
    assert [row.name for row in rows] == ["a.csv[0]", "a.csv[1]"]


def test_a_head_of_csv_is_no_row_and_its_column_label_no_input(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "a,Label,b,c,d\n1,setosa,2,3,4\n5,virginica,6,7,8\n")
    rows = read_rows([path], FLOWER)
    assert values(rows) == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert [row.label for row in rows] == ["setosa", "virginica"]


def test_a_single_row_of_csv(tmp_path: Path) -> None:
    assert values(read_rows([written(tmp_path, "a.csv", "1,2,3,4")], FLOWER)) == [[1, 2, 3, 4]]


def test_a_flat_row_takes_the_shape_of_an_image(tmp_path: Path) -> None:
    (row,) = read_rows([written(tmp_path, "a.csv", "1,2,3,4,5,6")], (2, 3, 1))
    assert row.values.shape == (2, 3, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; give lines of numbers with commas between them"),
        ("a,b\n", "holds names and no rows; give lines of numbers below them"),
        ("1,2,3,4\n1,2,3\n", "line 2 has 3 cells, the first has 4; mend it"),
        ("1,2,3,4\n1,2,x,4\n", "line 2 holds 'x'; give numbers alone, or name the column 'label'"),
        (b"\xff\xfe1", "is not csv in UTF-8; give lines of numbers with commas between them"),
    ],
)
def test_csv_that_is_none(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert refused(written(tmp_path, "a.csv", text)) == said


def test_rows_of_another_length(tmp_path: Path) -> None:
    said = refused(written(tmp_path, "a.csv", "1,2,3\n4,5,6\n"))
    assert said == "a.csv[0]: has the shape 3, and the model takes 4; give rows of 4 numbers"


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"instances": rows}, lambda rows: {"inputs": rows}])
def test_json_rows(tmp_path: Path, wrap: object) -> None:
    assert callable(wrap)
    path = written(tmp_path, "a.json", json.dumps(wrap([[1, 2, 3, 4], [5, 6, 7, 8]])))
    assert values(read_rows([path], FLOWER)) == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_a_json_row_and_labels_beside_rows(tmp_path: Path) -> None:
    assert values(read_rows([written(tmp_path, "a.json", "[1, 2, 3, 4]")], FLOWER)) == [[1, 2, 3, 4]]
    path = written(tmp_path, "b.json", json.dumps({"instances": [[1, 2, 3, 4]] * 2, "labels": ["x", 7]}))
    assert [row.label for row in read_rows([path], FLOWER)] == ["x", "7"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("{}", "holds nothing"),
        ('{"x": [1]}', "holds 'x'"),
        ("[[1, 2], [3]]", "its rows are not all of one length"),
        ('["a"]', "is no list of numbers"),
        ("[]", "is no list of numbers"),
    ],
)
def test_json_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    way_out = "; give a list of rows, or an object with the list as 'instances'"
    assert refused(written(tmp_path, "a.json", text)) == said + way_out


def test_whole_numbers_are_numbers_where_the_input_is_no_image(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[1, 2, 3, 255]], np.uint8))
    assert values(read_rows([tmp_path / "a.npy"], FLOWER)) == [[1, 2, 3, 255]]


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def png() -> bytes:
    file = io.BytesIO()
    Picture.new("L", (2, 2), 51).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "shape", "first"),
    [
        (b"1,2,3,4\n", FLOWER, 1.0),
        (b' {"instances": [[5,2,3,4]]}', FLOWER, 5.0),
        (saved(np.array([[7.0, 2, 3, 4]])), FLOWER, 7.0),
        (png(), (2, 2, 1), pytest.approx(0.2)),
    ],
)
def test_standard_input_is_known_by_how_it_begins(
    monkeypatch: pytest.MonkeyPatch, data: bytes, shape: tuple[int, ...], first: float
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    (row,) = read_rows([Path("-")], shape)
    assert row.name.startswith("stdin")
    assert row.values.ravel()[0] == first


def test_standard_input_is_named_once() -> None:
    with pytest.raises(CommandFailed, match="standard input can be read once"):
        read_rows([Path("-"), Path("-")])


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MAX_FILE_BYTES", 2**20)
    assert refused(written(tmp_path, "a.csv", b"1" * (2**20 + 1))) == "larger than 1 MiB; split it"
