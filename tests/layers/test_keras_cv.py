"""keras-cv (extra `cv`): our layers in its pipelines, its layers beside ours."""

import warnings

import keras
import numpy as np
import pytest

from keras_dcnn.layers import FancyPCA, RandomAffine, RandomHSV, RandomPaddedCrop

tf = pytest.importorskip("tensorflow")
if keras.backend.backend() != "tensorflow":
    pytest.skip("keras-cv's layers need TensorFlow", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own, at import
    cv = pytest.importorskip("keras_cv").layers

SIZE = (24, 20)


def ours():
    return [
        FancyPCA(1.0, "stddev", seed=0),
        RandomHSV(seed=0),
        RandomAffine(seed=0, bounding_box_format="xyxy"),
        RandomPaddedCrop(*SIZE, padding=4, flip=True, seed=0, bounding_box_format="xyxy"),
    ]


def data(count=12):
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (count, *SIZE, 3)).astype("float32"),
        "labels": np.eye(3, dtype="float32")[np.arange(count) % 3],
    }


def augmented(layer, batch=4):
    dataset = tf.data.Dataset.from_tensor_slices(data()).batch(batch)
    batches = list(dataset.map(layer, num_parallel_calls=2).as_numpy_iterator())
    return {key: np.concatenate([b[key] for b in batches]) for key in batches[0]}


def check(out, least):
    """`least` of the twelve images are changed, all are sound, and no label is."""
    given = data()
    changed = [np.abs(a - b).max() > 1 for a, b in zip(out["images"], given["images"], strict=True)]
    assert sum(changed) >= least
    assert np.isfinite(out["images"]).all()
    assert out["images"].min() >= 0
    assert out["images"].max() <= 255.01
    np.testing.assert_array_equal(out["labels"], given["labels"])


@pytest.mark.slow
@pytest.mark.parametrize("layer", ours(), ids=lambda layer: type(layer).__name__)
def test_random_apply(layer):
    """Image by image; with `batchwise=True` it fails in tf.data for keras-cv's own layers too."""
    check(augmented(cv.RandomApply(layer, rate=1.0)), least=10)
    check(augmented(cv.RandomApply(layer, rate=0.5, seed=0)), least=1)


@pytest.mark.slow
@pytest.mark.parametrize("batchwise", [False, True])
def test_random_choice(batchwise):
    check(augmented(cv.RandomChoice(ours(), batchwise=batchwise)), least=10)


@pytest.mark.slow
def test_random_augmentation_pipeline():
    check(augmented(cv.RandomAugmentationPipeline(ours(), augmentations_per_image=2)), least=10)


def test_augmenter_with_layers_of_both():
    both = [
        cv.RandomFlip(),
        RandomAffine(seed=0),
        cv.RandomColorDegeneration(0.5),
        RandomHSV(seed=0),
        cv.Grayscale(output_channels=3),
        FancyPCA(seed=0),
    ]
    check(augmented(cv.Augmenter(both)), least=10)


def test_its_boxes_go_through_ours_and_back():
    boxes = {"boxes": np.tile([[[4.0, 5, 12, 15]]], (12, 1, 1)), "classes": np.ones((12, 1))}
    given = {**data(), "bounding_boxes": boxes}
    affine = RandomAffine(bounding_box_format="xyxy", seed=0)
    flip = cv.RandomFlip("horizontal", bounding_box_format="xyxy")
    dataset = tf.data.Dataset.from_tensor_slices(given).batch(4).map(affine).map(flip)
    out = next(dataset.as_numpy_iterator())["bounding_boxes"]
    assert out["boxes"].shape == (4, 1, 4)
    assert (out["classes"] == 1).all()


@pytest.mark.parametrize("batched", [True, False])
def test_its_ragged_boxes_go_through_ours(batched):
    boxes = {
        "boxes": np.tile([[[4.0, 5, 12, 15], [-1] * 4]], (12, 1, 1)),
        "classes": [[1, -1]] * 12,
    }
    given = {**data(), "bounding_boxes": boxes}
    flip = cv.RandomFlip("horizontal", bounding_box_format="xyxy")
    crop = RandomPaddedCrop(20, 20, bounding_box_format="xyxy")
    dataset = tf.data.Dataset.from_tensor_slices(given)
    dataset = dataset.batch(4).map(flip) if batched else dataset.map(flip)
    out = next(dataset.map(lambda d: crop(d, training=False)).as_numpy_iterator())
    box = out["bounding_boxes"]["boxes"].reshape(-1, 4)[0]
    assert box.round(3).tolist() in ([4, 3, 12, 13], [8, 3, 16, 13])  # mirrored or not
    assert out["bounding_boxes"]["classes"].ravel()[0] == 1


@pytest.mark.slow
def test_a_trained_pipeline():
    """One dataset through layers of both into `fit`."""
    dataset = tf.data.Dataset.from_tensor_slices(data()).batch(4)
    dataset = dataset.map(cv.RandomFlip()).map(RandomHSV()).map(RandomPaddedCrop(16, 16))
    dataset = dataset.map(lambda d: (d["images"] / 255, d["labels"]))
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    )
    model.compile("sgd", "categorical_crossentropy", jit_compile=True)
    assert np.isfinite(model.fit(dataset, shuffle=False, verbose=0).history["loss"]).all()
