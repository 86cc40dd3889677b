"""The data card: what is in a folder, what was left out and why."""

import json

import numpy as np
import pytest
from odd_folder import make_odd
from PIL import Image

from keras_dcnn._images.card import data_card
from keras_dcnn._images.listing import list_folder
from keras_dcnn._images.pixels import Reading
from keras_dcnn._images.reading import read_all
from keras_dcnn._images.splitting import split


def card(folder, **options):
    listed = list_folder(folder)
    read = read_all(listed.files, Reading(16), keep=False, **options)
    labels = listed.labels[read.readable]
    given = None if listed.parts is None else listed.parts[read.readable]
    parts = split(labels, read.fingerprints, listed.class_names, 0, given)
    return data_card(folder, listed, read, parts)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    return card(make_odd(tmp_path_factory.mktemp("images")))


def test_every_file_is_counted_or_has_a_reason(odd):
    assert {part: counts.tolist() for part, counts in odd.counts.items()} == {
        "train": [7, 5, 7],
        "validation": [1, 1, 2],
        "test": [1, 1, 2],
    }
    assert odd.passed_over == {
        "red/gone.png": "a link to a file that isn't there",
        "red/phone.heic": ".heic needs a plug-in: pip install pillow-heif",
        "red/notes.txt": ".txt is no image",
        "stray.png": "in no class's folder",
    }
    assert odd.bits == 12


def test_copies_within_a_class_and_across(odd):
    assert odd.copies == [["red/0.png", "red/copy.png"]]
    (mixed,) = odd.of_two_classes
    assert sorted(mixed) == ["blue/0.png", "blue/same.png", "red/blue.png"]


def test_the_text_fits_60_columns_and_names_what_was_left_out(odd):
    text = odd.text()
    lines = text.splitlines()
    assert lines[0] == "27 images of 3 classes, 20 × 20 to 40 × 30 pixels"
    assert lines[2].split() == ["blue", "7", "1", "1"]
    assert "  red/gone.png: a link to a file that isn't there" in lines
    assert "1 copy of another image, on its side of the split" in lines
    assert "1 image is in more than one class, and trained on as each:" in lines
    assert "grey images of 16 bits use 12 of their 16 bits: scaled by that" in lines
    assert max(len(line) for line in lines if "=" not in line and ":" not in line) <= 60
    json.dumps(odd.as_dict(), allow_nan=False)


def test_files_that_cannot_be_read_are_skipped_where_asked_and_said(tmp_path):
    folder = make_odd(tmp_path)
    (folder / "red" / "broken.png").write_bytes(b"broken")
    found = card(folder, skip_unreadable=True)
    assert list(found.unreadable) == ["red/broken.png"]
    assert "1 file skipped, as unreadable:" in found.text()
    with pytest.raises(ValueError, match=r"red/broken\.png"):
        card(folder)


def test_many_classes_are_shown_by_the_largest_and_the_smallest(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(40):
        (tmp_path / f"class{number:02}").mkdir()
        for k in range(3 + number % 2):
            pixels = rng.integers(0, 256, (8, 8, 3), "uint8")
            Image.fromarray(pixels).save(tmp_path / f"class{number:02}" / f"{k}.png")
    lines = card(tmp_path).text().splitlines()
    assert len(lines) == 2 + 24 + 1
    assert lines[14] == "  … 16 more classes, in between"


def test_copies_of_held_out_images_are_left_out_of_a_training_that_is_given(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for k in range(4):
                pixels = rng.integers(0, 256, (8, 8, 3), "uint8")
                Image.fromarray(pixels).save(tmp_path / part / name / f"{k}.png")
    with Image.open(tmp_path / "test" / "a" / "0.png") as leaked:
        leaked.save(tmp_path / "train" / "a" / "leaked.png")
    found = card(tmp_path)
    assert found.left_out == 1
    assert "1 copy of held-out images left out" in found.text()


def test_of_what_is_held_out_an_image_counts_once(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for k in range(5):
            pixels = rng.integers(0, 256, (8, 8, 3), "uint8")
            for copy in range(3):
                Image.fromarray(pixels).save(tmp_path / name / f"{k}-{copy}.png")
    found = card(tmp_path)
    assert {part: counts.tolist() for part, counts in found.counts.items()} == {
        "train": [9, 9],
        "validation": [1, 1],
        "test": [1, 1],
    }
    assert found.left_out == 8
