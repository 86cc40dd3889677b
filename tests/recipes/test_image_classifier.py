"""ImageClassifier: names, reading and refusals travel with the network."""

import keras
import numpy as np
import pytest
from odd_folder import make_plain

from keras_dcnn._images.errors import ImageFolderError
from keras_dcnn._images.pixels import Reading, read_pixels
from keras_dcnn.ensemble import Ensemble
from keras_dcnn.recipes import ImageClassifier

pytestmark = pytest.mark.every_backend
RNG = np.random.default_rng(0)


def network(seed=0, size=16):
    """The mean colour, by weights of its own."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, "softmax"),
        ]
    )


@pytest.fixture(scope="module")
def model():
    return ImageClassifier(network(), ["red", "blue"], (9, 8, 7), bits=12, sure_from=0.3)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = make_plain(tmp_path_factory.mktemp("images"), {"red": 3, "blue": 2}, (40, 30))
    return sorted(folder.rglob("*.png"))


def test_saved_it_knows_all_that_it_knew(model, files, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.class_names == ["red", "blue"]
    assert loaded.reading == Reading(16, (9, 8, 7), 12)
    assert loaded.sure_from == 0.3
    np.testing.assert_allclose(loaded.predict(files), model.predict(files), 1e-6)
    x = RNG.integers(0, 256, (4, 16, 16, 3), "uint8")
    loss, accuracy = loaded.evaluate(x, np.array([0, 1, 0, 1]), verbose=0)
    assert 0 <= accuracy <= 1
    assert loss > 0


def test_files_and_what_is_in_them_are_predicted_alike(model, files):
    pixels = np.stack([read_pixels(model.reading, file) for file in files])
    expected = keras.ops.convert_to_numpy(model.network(pixels))
    np.testing.assert_allclose(model.predict(files, verbose=0), expected, 1e-5)
    np.testing.assert_allclose(model.predict(pixels, verbose=0), expected, 1e-5)
    np.testing.assert_allclose(model.predict([*pixels], verbose=0), expected, 1e-5)
    np.testing.assert_allclose(model.predict(pixels[0], verbose=0), expected[:1], 1e-5)
    np.testing.assert_allclose(model.predict(str(files[0]), verbose=0), expected[:1], 1e-5)


def test_a_pydataset_is_converted_too(model):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return np.full((3, 20, 24, 3), 100 * index, "uint8")

    whole = np.repeat(np.stack([Batches()[0][0], Batches()[1][0]]), 3, 0)
    np.testing.assert_allclose(model.predict(Batches()), model.predict(whole, verbose=0), 1e-5)


def test_predictions_have_names_and_say_where_they_are_not_sure(model, files):
    p = model.predict(files, verbose=0)
    for found, file, one in zip(model.classify(files, top=2), files, p, strict=True):
        order = np.argsort(-one)
        assert found.file == str(file)
        assert found.label == model.class_names[order[0]]
        assert found.probability == pytest.approx(one[order[0]])
        assert [name for name, _ in found.top] == [model.class_names[k] for k in order]
        assert found.sure == (one[order[0]] >= 0.3 > one[order[1]])
        assert found.spread is None


def test_an_ensemble_says_where_its_members_part(files):
    model = ImageClassifier(Ensemble([network(0), network(1)]), ["red", "blue"])
    members = [one.predict(model_pixels(model, files), verbose=0) for one in model.network.members]
    mean = np.mean(members, 0).argmax(1)
    expected = np.mean([one.argmax(1) != mean for one in members], 0)
    np.testing.assert_allclose([one.spread for one in model.classify(files)], expected)


def model_pixels(model, files):
    return np.stack([read_pixels(model.reading, file) for file in files])


def test_files_that_cannot_be_read_are_all_named_or_skipped(model, files, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"broken")
    given = [tmp_path / "a.png", files[0], tmp_path / "b.png"]
    with pytest.raises(ImageFolderError, match=r"a\.png can't .*b\.png can't"):
        model.classify(given)
    first, second, third = model.classify(given, skip_unreadable=True)
    assert first.label is None
    assert "can't be read" in first.error
    assert second.label in model.class_names
    assert third.error


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ImageClassifier(network(), ["one"]), "a name for each of the outputs"),
        (lambda: ImageClassifier(network(), ["a", "b", "c"]), "got 3 names"),
        (lambda: ImageClassifier("model.keras", ["a", "b"]), "must be a built Keras model"),
        (lambda: ImageClassifier(keras.Sequential(), ["a", "b"]), "must be a built Keras model"),
        (
            lambda: ImageClassifier(
                keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), ["a", "b"]
            ),
            "square RGB images",
        ),
        (lambda: ImageClassifier(network(), ["a", "b"], bits=0), "`bits`"),
        (lambda: ImageClassifier(network(), ["a", "b"], sure_from=-1), "`sure_from`"),
    ],
)
def test_bad_arguments(make, match):
    with pytest.raises((TypeError, ValueError), match=match):
        make()


def test_images_of_0_to_1_and_other_sizes_in_a_graph_are_refused(model):
    with pytest.raises(ValueError, match="multiply by 255"):
        model.predict(RNG.random((2, 16, 16, 3)))
    with pytest.raises(ValueError, match="give them to `predict`"):
        model(np.zeros((1, 20, 20, 3), "float32"))


@pytest.mark.one_backend
def test_exported_it_takes_images_of_any_size(model, tmp_path, backend):
    if backend != "tensorflow":
        pytest.skip("the formats of other backends are Keras's affair")
    import tensorflow as tf

    model.export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(tmp_path / "exported")
    x = RNG.integers(0, 256, (2, 16, 16, 3)).astype("float32")
    np.testing.assert_allclose(served.serve(x), model.predict(x, verbose=0), 1e-5)
    flat = np.full((1, 24, 40, 3), 77, "float32")
    np.testing.assert_allclose(served.serve(flat), model.predict(flat, verbose=0), 1e-4)
