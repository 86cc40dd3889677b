"""What the preprocessing layers promise alike: statistics that travel, and clear refusals."""

import json
import pickle

import keras
import numpy as np
import pytest
from trainings import jit

from keras_dcnn.layers import MinMaxScaling, PCAWhitening, ZCAWhitening, ZeroCenter
from keras_dcnn.statistics import PixelMoments

pytestmark = pytest.mark.every_backend
LAYERS = {
    "mean": ZeroCenter,
    "mean image": lambda: ZeroCenter("dimension"),
    "range": MinMaxScaling,
    "ranges": lambda: MinMaxScaling("dimension"),
    "pca": lambda: PCAWhitening(num_components=7),
    "zca": ZCAWhitening,
}
OF_ONE_SIZE = ["mean image", "ranges", "pca", "zca"]


def each(names=LAYERS):
    return pytest.mark.parametrize("make", [LAYERS[n] for n in names], ids=list(names))


def random_images(seed=0, count=120, dtype="uint8"):
    x = np.random.default_rng(seed).integers(0, 200 + 50 * seed, (count, 5, 4, 3))
    return (x * [1, 0.5, 0.25]).astype(dtype)


def adapted(make, data=None, **arguments):
    layer = make(**arguments)
    layer.adapt(random_images() if data is None else data)
    return layer


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def model_of(*layers):
    flat = [keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    return keras.Sequential([keras.Input((5, 4, 3)), *layers, *flat])


@each()
def test_statistics_travel_with_weights_files_and_pickles(make, tmp_path):
    x, model = random_images(seed=1), model_of(adapted(make))
    expected = numpy(model(x))
    assert not model.layers[0].trainable_variables
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    cloned, restored = keras.models.clone_model(model), model_of(make())
    cloned.set_weights(model.get_weights())
    restored.load_weights(tmp_path / "model.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for other in (cloned, restored, loaded, pickle.loads(pickle.dumps(model))):
        np.testing.assert_allclose(numpy(other(x)), expected, rtol=1e-5, atol=1e-6)


@each()
def test_before_adapt_every_use_is_refused(make, tmp_path):
    x, message = random_images(), r"has no statistics yet: call its `adapt\(data\)` first"
    name = type(make()).__name__
    with pytest.raises(ValueError, match=f"{name} `.*{message}"):
        make()(x)
    with pytest.raises(ValueError, match=f"{name} `.*{message}"):
        make()({"images": x})
    model = model_of(make())  # making, saving and loading it is fine
    model.save(tmp_path / "model.keras")
    for use in (lambda m: m.predict(x, verbose=0), lambda m: m.fit(x, x[:, 0, 0, 0] % 3)):
        model = keras.saving.load_model(tmp_path / "model.keras")
        model.compile("sgd", "sparse_categorical_crossentropy")
        with pytest.raises(ValueError, match=message):
            use(model)
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(ValueError, match=message):
        tf.data.Dataset.from_tensors(x).map(make())


@each()
def test_adapt_after_compile_is_seen_without_compiling_again(make):
    layer, x = adapted(make), random_images(seed=1)
    model = keras.Sequential([keras.Input((5, 4, 3)), layer])
    model.compile(jit_compile=jit())
    before = model.predict(x, verbose=0)
    layer.adapt(x)
    after = model.predict(x, verbose=0)
    np.testing.assert_allclose(after, numpy(adapted(make, x)(x)), rtol=1e-3, atol=1e-3)
    assert np.abs(after - before).max() > 0.01


@each()
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_adapt_in_shards_equals_adapt_as_a_whole(make, dtype):
    x = random_images(dtype=dtype)
    layer = make()
    shards = [PixelMoments(layer.per).update(part) for part in np.array_split(x, 3)]
    whole = [numpy(weight) for weight in adapted(make, x).weights]
    layer.adapt(shards[2] + shards[0] + shards[1])
    for weight, expected in zip(layer.weights, whole, strict=True):
        if dtype == "uint8":
            np.testing.assert_array_equal(numpy(weight), expected)
        np.testing.assert_allclose(numpy(weight), expected, rtol=1e-3, atol=1e-5)
    layer = make()
    layer.adapt((part, None) for part in np.array_split(x, 3))
    np.testing.assert_allclose(numpy(layer.weights[0]), whole[0], rtol=1e-6)


@each()
def test_tf_data_equals_the_model_for_batches_and_single_images(make):
    tf = pytest.importorskip("tensorflow")
    layer, x = adapted(make), random_images(seed=1, count=6)
    expected = numpy(layer(x))
    single = tf.data.Dataset.from_tensor_slices({"images": x, "file": ["a"] * 6})
    batched = tf.data.Dataset.from_tensor_slices(x.astype("float32")).batch(4).map(layer)
    one_by_one = np.stack([element["images"].numpy() for element in single.map(layer)])
    np.testing.assert_allclose(one_by_one, expected, rtol=1e-4, atol=1e-4)
    together = np.concatenate([batch.numpy() for batch in batched])
    np.testing.assert_allclose(together, expected, rtol=1e-4, atol=1e-4)


def test_all_in_front_of_a_network_that_trains():
    """No warning, and each adapted to what the one before it gives."""
    x = random_images()
    layers = [ZeroCenter(), MinMaxScaling("dimension"), ZCAWhitening(epsilon=0.1)]
    layers += [PCAWhitening(num_components=20, epsilon=0.1)]
    data = x
    for layer in layers:
        layer.adapt(data)
        data = numpy(layer(data))

    model = model_of(*layers)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=jit())
    losses = model.fit(x, x[:, 0, 0, 0] % 3, batch_size=30, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_a_subclassed_model_adapts_trains_and_loads(tmp_path):
    model = Subclassed(ZeroCenter(), ZCAWhitening())
    x, y = random_images(), np.arange(120) % 3
    for layer in (model.center, model.whiten):
        layer.adapt(x)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=jit())
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(numpy(loaded(x)), numpy(model(x)), rtol=1e-4, atol=1e-5)


@keras.saving.register_keras_serializable(package="keras_dcnn_tests")
class Subclassed(keras.Model):
    def __init__(self, center, whiten, **kwargs):
        super().__init__(**kwargs)
        self.center, self.whiten = center, whiten
        self.head = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])

    def call(self, x):
        return self.head(self.whiten(self.center(x)) / 10)

    def get_config(self):
        layers = {"center": self.center, "whiten": self.whiten}
        return {k: keras.saving.serialize_keras_object(v) for k, v in layers.items()}

    @classmethod
    def from_config(cls, config):
        return cls(**{k: keras.saving.deserialize_keras_object(v) for k, v in config.items()})


@each()
def test_empty_batches_and_one_pixel(make):
    layer = adapted(make)
    out = layer(random_images()[:0])
    assert tuple(out.shape) == (0, *layer(random_images()).shape[1:])
    dot = random_images()[:, :1, :1]
    layer = PCAWhitening() if isinstance(layer, PCAWhitening) else make()
    layer.adapt(dot)
    assert np.isfinite(numpy(layer(dot))).all()


@each()
def test_float_pixels_do_the_same_as_uint8(make):
    layer, x = adapted(make), random_images()
    np.testing.assert_allclose(
        numpy(layer(x)), numpy(layer(x.astype("float64"))), rtol=1e-5, atol=1e-4
    )


@each(OF_ONE_SIZE)
@pytest.mark.parametrize("shape", [(4, 5, 3), (2, 5, 4, 1), (5, 4), (2, 5, 1, 3), (2, 2, 4, 5, 3)])
def test_inputs_of_another_size_are_refused(make, shape):
    layer = adapted(make)
    message = f"{type(layer).__name__} `.*" + r"shape \(5, 4, 3\), or a batch of them; got shape \("
    with pytest.raises(ValueError, match=message):
        layer(np.zeros(shape, "uint8"))
    with pytest.raises(ValueError, match=message):
        layer(keras.Input(shape))


@each(OF_ONE_SIZE)
def test_sizes_that_are_unknown_must_be_said(make):
    tf = pytest.importorskip("tensorflow")
    x = random_images(count=2)
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(x), output_signature=tf.TensorSpec((None, None, 3), "uint8")
    )
    layer = adapted(make)
    with pytest.raises(ValueError, match=r"got shape \(None, None, 3\).*`images.set_shape`"):
        dataset.map(layer)
    said = dataset.map(lambda image: layer(tf.ensure_shape(image, (5, 4, 3))))
    np.testing.assert_allclose(list(said), numpy(layer(x)), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"known size; got shape \(None, None, None, 3\)"):
        make()(keras.Input((None, None, 3)))


@each(["mean", "range"])
def test_channels_are_counted(make):
    layer = adapted(make)
    assert layer(np.zeros((2, 9, 1, 3))).shape == (2, 9, 1, 3)
    for shape in ((2, 5, 4, 1), (5, 4, 4), (7,), (2, 2, 5, 4, 1)):
        with pytest.raises(ValueError, match=f"{type(layer).__name__} `.*takes RGB images"):
            layer(np.zeros(shape, "uint8"))
    for shape in ((8, 7), (8, 7, None)):
        with pytest.raises(
            ValueError, match=r"known number of channels; got|takes images of shape"
        ):
            make()(keras.Input(shape))


@each()
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "at least one image; got none"),
        (np.zeros((0, 5, 4, 3), "uint8"), "at least one image; got none"),
        (np.zeros((60, 5, 4), "uint8"), r"must have a channel axis; got shape \(60, 5, 4\)"),
        ((np.zeros((60, 5, 4), "uint8"), np.arange(60)), "must have a channel axis; got shape"),
        ((random_images(), None, np.zeros(120)), "got none, or all of weight 0"),
        (np.full((2, 5, 4, 3), np.nan), "finite; got NaN or infinity"),
        (np.full((2, 5, 4, 3), -np.inf), "finite; got NaN or infinity"),
        (np.zeros((2, 5, 4, 3, 1, 1)), r"got shape \(2, 5, 4, 3, 1, 1\)"),
        (PixelMoments(), "at least one image|must be of PixelMoments"),
        ([np.zeros((2, 5, 4, 3)), np.zeros((2, 5, 4, 1))], "all images must have"),
    ],
)
def test_adapt_refuses_and_names_the_layer(make, data, message):
    layer = make()
    with pytest.raises(ValueError, match=f"adapt of `{layer.name}`: .*({message})"):
        layer.adapt(data)
    assert not layer.built


@each()
def test_frames_of_videos_are_images(make):
    x, layer = random_images(), make()
    videos, images = x.reshape(30, 4, 5, 4, 3), x[8:16]
    assert tuple(layer.compute_output_shape((2, None, 5, 4, 3)))[:2] == (2, None)
    layer.adapt(videos)
    expected = numpy(adapted(make)(images))
    out = layer(videos[2:4])
    assert out.shape == tuple(layer.compute_output_shape((2, 4, 5, 4, 3)))
    np.testing.assert_allclose(numpy(out).reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)
    inputs = keras.Input((None, 5, 4, 3))
    model = keras.Model(inputs, layer(inputs))
    np.testing.assert_allclose(model.predict(videos[2:4], verbose=0), numpy(out), atol=1e-4)


@each(["mean", "zca"])
def test_images_of_weight_zero_count_for_nothing(make):
    x, layer = random_images(), make()
    layer.adapt((x, None, (np.arange(120) < 100).astype("float32")))
    for weight, expected in zip(layer.weights, adapted(make, x[:100]).weights, strict=True):
        np.testing.assert_array_equal(numpy(weight), numpy(expected))


@each()
def test_complex_numbers_are_refused(make):
    with pytest.raises(TypeError, match="images must be real numbers; got complex128: give their"):
        adapted(make)(random_images() * 1j)
    with pytest.raises(TypeError, match="pixels must be real numbers; got complex128"):
        make().adapt(random_images() * 1j)


@each(["pca", "zca"])
def test_a_covariance_beyond_float64_is_refused(make):
    images = np.full((2, 2, 2, 1), 1e200) * [[[[1]]], [[[-1]]]]
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="deviation` would hold inf"):
        make().adapt(np.repeat(images, 2, -1))


@each()
def test_adapting_again_takes_the_same_shape_only(make):
    layer = adapted(make)
    before = json.dumps([numpy(w).tolist() for w in layer.weights])
    for data in (
        random_images()[..., :1],
        PixelMoments(layer.per).update(random_images()[..., 1:]),
    ):
        with pytest.raises(ValueError, match=f"adapt of `{layer.name}`: "):
            layer.adapt(data)
    assert json.dumps([numpy(w).tolist() for w in layer.weights]) == before


@each()
def test_weights_reset_to_unmeasured_are_noticed(make):
    layer, fresh = adapted(make), make()
    fresh.build((None, 5, 4, 3))
    layer.set_weights(fresh.get_weights())
    with pytest.raises(ValueError, match="has no statistics yet"):
        layer(random_images())
    layer.set_weights([np.full_like(weight, np.nan) for weight in fresh.get_weights()])
    with pytest.raises(ValueError, match="has no statistics yet"):
        layer(random_images())


def test_may_be_made_where_jax_forbids_nan(backend):
    if backend != "jax":
        pytest.skip("a setting of JAX")
    import jax

    with jax.debug_nans(True):
        assert np.isfinite(numpy(adapted(ZCAWhitening)(random_images()))).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ZeroCenter("pixel"), "`per` must be one of 'channel', 'dimension'; got 'pixel'"),
        (lambda: MinMaxScaling("image"), "`per` must be one of"),
        (lambda: ZeroCenter(data_format="last"), "`data_format` must be one of"),
        (lambda: PCAWhitening(num_components=0), "`num_components` must be a whole number of at"),
        (lambda: ZCAWhitening(num_components=2.5), "`num_components` must be a whole number"),
        (lambda: PCAWhitening(epsilon=-1e-9), "`epsilon` must be a finite number of at least 0"),
        (lambda: ZCAWhitening(epsilon=float("nan")), "`epsilon` must be a finite number"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", [ZeroCenter, MinMaxScaling])
def test_statistics_beyond_float32_are_refused_when_they_are_measured(kind):
    images = np.stack([np.full((4, 4, 3), 1e39), np.full((4, 4, 3), 2e39)])
    with pytest.raises(ValueError, match=r"adapt of .* must fit in float32, below 3\.4e38"):
        kind().adapt(images)
