"""Images from PNG, npy and npz files come out in the model's shape, or are refused with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from triveni.cli.errors import CommandFailed
from triveni.cli.inputs import read_rows

SHAPE = (4, 6, 1)

BYTES = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10


def refused(path: Path, shape: tuple[int, ...] | None = SHAPE) -> str:
    with pytest.raises(CommandFailed) as caught:
        read_rows([path], shape)
    assert caught.value.code == 2
    return str(caught.value)


def test_a_grey_png_is_a_fraction_of_full_brightness(tmp_path: Path) -> None:
    Picture.fromarray(BYTES).save(tmp_path / "a.png")
    (image,) = read_rows([tmp_path / "a.png"], SHAPE)
    assert image.name == "a.png"
    assert image.values.dtype == np.float32
    np.testing.assert_array_equal(image.values, (BYTES / 255).astype(np.float32).reshape(SHAPE))


def test_a_grey_png_stored_in_colour_is_the_same(tmp_path: Path) -> None:
    Picture.fromarray(BYTES).convert("RGB").save(tmp_path / "a.png")
    (image,) = read_rows([tmp_path / "a.png"], SHAPE)
    np.testing.assert_allclose(image.values[:, :, 0], BYTES / 255, atol=1e-6)


def test_a_colour_png_has_three_channels(tmp_path: Path) -> None:
    Picture.new("RGBA", (6, 4), (255, 0, 51, 255)).save(tmp_path / "a.png")
    (image,) = read_rows([tmp_path / "a.png"], (4, 6, 3))
    np.testing.assert_allclose(image.values[0, 0], [1, 0, 0.2], atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (1, 4, 6), (1, 4, 6, 1)])
def test_one_row_in_npy_may_have_dimensions_of_1_more_or_less(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.linspace(-1, 1, 24).reshape(shape)
    np.save(tmp_path / "a.npy", values)
    (image,) = read_rows([tmp_path / "a.npy"], SHAPE)
    np.testing.assert_array_equal(image.values, values.astype(np.float32).reshape(SHAPE))


def test_rows_in_npy_are_images_of_their_own(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((3, 4, 6))
    np.save(tmp_path / "a.npy", values)
    images = read_rows([tmp_path / "a.npy"], SHAPE)
    assert [image.name for image in images] == ["a.npy[0]", "a.npy[1]", "a.npy[2]"]
    np.testing.assert_array_equal(images[2].values[:, :, 0], values[2].astype(np.float32))


def test_npz_holds_images_and_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((2, *SHAPE), np.float32), labels=np.array([7, 1]))
    assert [image.label for image in read_rows([tmp_path / "a.npz"], SHAPE)] == ["7", "1"]


def test_without_the_models_shape_rows_are_found_by_their_dimensions(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros((4, 6)))
    np.save(tmp_path / "many.npy", np.zeros((5, *SHAPE)))
    assert len(read_rows([tmp_path / "one.npy", tmp_path / "many.npy"])) == 6


def test_uint8_arrays_are_brightness(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", BYTES)
    np.testing.assert_allclose(read_rows([tmp_path / "a.npy"], SHAPE)[0].values[:, :, 0], BYTES / 255, atol=1e-6)


def test_another_shape(tmp_path: Path) -> None:
    Picture.fromarray(BYTES[:3]).save(tmp_path / "a.png")
    assert refused(tmp_path / "a.png") == ("a.png: has the shape 3 x 6, and the model takes 4 x 6 x 1; resize it first")


def test_another_dtype(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(SHAPE, np.int64))
    assert refused(tmp_path / "a.npy").endswith(
        "a.npy: holds int64; save float32 values, or uint8 brightness from 0 to 255"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity(tmp_path: Path, value: float) -> None:
    np.save(tmp_path / "a.npy", np.full(SHAPE, value))
    assert refused(tmp_path / "a.npy") == "a.npy: holds NaN or infinity; predict finite values"


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("content", [b"", b"no numpy", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_what_is_no_numpy_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name).endswith("is not a numpy file of numbers; write it with numpy.save or numpy.savez")


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([object()]), allow_pickle=True)
    assert "is not a numpy file of numbers" in refused(tmp_path / "a.npy")


def test_npz_with_several_arrays_has_to_name_the_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(SHAPE), y=np.zeros(SHAPE))
    assert refused(tmp_path / "a.npz").endswith("holds x, y; name the array of images 'images'")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert refused(tmp_path / "a.png").endswith("a.png: is not an image; give PNG, npy, npz, csv or JSON files")
