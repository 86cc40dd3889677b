"""A CSV file of images and labels: what is read, and one error with all rows that are wrong."""

import pytest
from PIL import Image

from keras_dcnn._images.errors import ImageFolderError
from keras_dcnn._images.label_file import list_labels
from keras_dcnn.datasets import image_folder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(4):
        Image.new("RGB", (9, 9), (i, 0, 0)).save(tmp_path / "images" / f"{i}.png")
    return tmp_path


def listed(folder, text, **where):
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    images = list_labels(folder / "labels.csv", **where)
    names = [images.class_names[label] for label in images.labels]
    return dict(zip((path.name for path in images.files), names, strict=True)), images


@pytest.mark.parametrize(
    "text",
    [
        "file,label\nimages/0.png,cat\nimages/1.png,dog\nimages/0.png,cat\n",
        "\ufeffClass;n;Filename\ncat;1;images/0.png\n\ndog;2;images/1.png\n",
        "images/0.png\tcat\nimages/1.png\t dog\n",
        'id,breed,label\nimages/0,x,"cat"\nimages/1,x,dog\n',
    ],
)
def test_files_and_their_labels(folder, text):
    found, images = listed(folder, text)
    assert found == {"0.png": "cat", "1.png": "dog"}
    assert images.parts is None


def test_parts_numbers_in_order_and_another_folder(folder):
    text = "path,target,split\n0.png,10,train\n1.png,9,TRAIN\n2.png,9,val\n3.png,9,testing\n"
    _, images = listed(folder, text, directory=folder / "images")
    assert images.class_names == ["9", "10"]
    assert images.labels.tolist() == [1, 0, 0, 0]
    assert images.parts.tolist() == ["train", "train", "validation", "test"]


def test_load_data_reads_it(folder):
    parts = "0.png,cat,train\n1.png,dog,train\n2.png,cat,val\n3.png,dog,test\n"
    (folder / "labels.csv").write_text(parts, encoding="utf-8")
    *parts, names = image_folder.load_data(
        folder / "images", image_size=8, labels=folder / "labels.csv"
    )
    assert names == ["cat", "dog"]
    reds = [dict(zip(x[:, 0, 0, 0].tolist(), y.tolist(), strict=True)) for x, y in parts]
    assert reds == [{0: 0, 1: 1}, {2: 0}, {3: 1}]


def test_what_is_no_image_is_passed_over_with_the_reason(folder):
    (folder / "notes.txt").write_text("x")
    _, images = listed(folder, "images/0.png,cat\nimages/1.png,dog\nnotes.txt,dog\n")
    assert [*images.passed_over.values()] == [".txt is no image"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have columns of files and labels"),
        ("a,b,c,d\n1,2,3,4\n", "must have columns 'file' and 'label'; it has 'a', 'b', 'c', 'd'"),
        ("images/0.png,cat\nimages/1.png,cat\n", "two or more classes; it has 1"),
        (
            "file,label\nimages/0.png,\nimages/9.png,a\n,b\nimages/1.png,a\nimages/1.png,b\n",
            "line 2 has no label, line 3: there is no .*9.png, line 4 has no file, line 6: .*1.png "
            "had another label",
        ),
        ("file,label,part\nimages/0.png,a,all\n", "line 2 has no part, which is train, valid"),
        (
            "file,label,part\nimages/0.png,a,train\nimages/1.png,b,test\n",
            "must name training images of each class; not of 'b'",
        ),
    ],
)
def test_what_it_refuses(folder, text, message):
    with pytest.raises(ImageFolderError, match=message):
        listed(folder, text)


def test_a_file_that_is_not_there_or_not_text(folder):
    with pytest.raises(ImageFolderError, match=r"none\.csv can't be read"):
        list_labels(folder / "none.csv")
    (folder / "labels.csv").write_bytes("é,a".encode("latin-1"))
    with pytest.raises(ImageFolderError, match="must be UTF-8"):
        list_labels(folder / "labels.csv")
