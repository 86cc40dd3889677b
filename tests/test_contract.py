"""What all parts promise. Parts are found from `__all__`; each goes through what its tags say.

What is asked of a training is read off one per part, and one in half precision: `trained`.
"""

import copy
import inspect
import json
import os
import pickle
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from cases import CASES, cases
from public import public_objects
from trainings import same

from keras_dcnn._files.states import pack, unpack

FRESH_PROCESS = """
import json, sys
import keras, numpy as np
import keras_dcnn
for name, path in json.load(open(sys.argv[1])).items():
    model = keras.saving.load_model(path + ".keras")
    outputs = model.predict(np.load(path + ".npy"), verbose=0)
    losses = sum(float(keras.ops.convert_to_numpy(loss)) for loss in model.losses)
    np.savez(path + ".npz", outputs=outputs, losses=losses)
"""
SAVED = cases("layer", "initializer", "constraint", "regularizer", "model")
pytestmark = pytest.mark.every_backend


def each(*tags):
    return pytest.mark.parametrize("case", cases(*tags), ids=lambda case: case.part.__name__)


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@keras.saving.register_keras_serializable()
class CountTraces(keras.layers.Layer):
    """Python runs it only where a step is traced; after each epoch it says how often that was."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.traces, self.by_epoch = 0, []

    def call(self, x):
        self.traces += 1
        return x

    def watch(self):
        return keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self.by_epoch.append(self.traces)
        )


def train(case, epochs):
    """A training in which XLA compiles all, but on PyTorch, whose compiler takes a minute."""
    count, inner, callback = CountTraces(), case.model(), None
    model = keras.Sequential([keras.Input(case.input_shape), count, inner])
    model.compile(
        "sgd",
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() != "torch",
    )
    if "callback" in case.tags:
        callback = case.make()
    callbacks = [*([callback] if callback else []), count.watch()]
    x, y = case.inputs(8), np.arange(8) % 3
    fit = model.fit(x, y, batch_size=4, epochs=epochs, callbacks=callbacks, verbose=0)
    return SimpleNamespace(
        model=model,
        inner=inner,
        callback=callback,
        losses=fit.history["loss"],
        traces=count.by_epoch,
    )


@pytest.fixture(scope="module")
def trained():
    """A function: the training of a case, two epochs, made when it is first asked for."""
    done = {}

    def of(case):
        if case.part not in done:
            keras.utils.set_random_seed(1234)
            done[case.part] = train(case, epochs=2)
            if case in SAVED:
                done[case.part].x = case.inputs(5)
                predict = done[case.part].model.predict  # the last batch is of one
                done[case.part].predicted = predict(done[case.part].x, batch_size=4, verbose=0)
        return done[case.part]

    return of


def test_every_public_class_has_a_case():
    classes = {name for name, part in public_objects().items() if inspect.isclass(part)}
    assert classes == {
        f"{case.part.__module__.split('.')[1]}.{case.part.__name__}" for case in CASES
    }


@each("layer", "initializer", "constraint", "regularizer", "loss", "model")
def test_config_makes_the_same_part_again(case):
    part = case.make()
    config = part.get_config()
    again = type(part).from_config(config)
    assert json.dumps(again.get_config()) == json.dumps(config)
    own = set(inspect.signature(case.part).parameters) - {"kwargs"}
    assert own <= set(config)


@each()
def test_unknown_keyword_raises_type_error(case):
    with pytest.raises(TypeError, match="sleectivity"):
        case.make(sleectivity=1)


def copies(part):
    return {"pickle": pickle.loads(pickle.dumps(part)), "deepcopy": copy.deepcopy(part)}


@each("layer", "initializer", "constraint", "regularizer", "loss", "statistics", "finding")
@pytest.mark.one_backend
def test_pickled_and_copied(case):
    """Before and after use, and with the state that the use left."""
    part = case.make()
    for use in ("before", "after"):
        for way, other in copies(part).items():
            assert type(other) is type(part), f"{way} {use}"
            if hasattr(part, "get_config"):
                configs = [json.dumps(one.get_config()) for one in (part, other)]
                assert configs[0] == configs[1], f"{way} {use}"
            if "layer" in case.tags:
                x = case.inputs(2)
                one, two = part(x, training=False), other(x, training=False)
                np.testing.assert_array_equal(numpy(one), numpy(two))
                assert same(part.get_weights(), other.get_weights()), f"{way} {use}"
        if "layer" in case.tags and "random" in case.tags:
            part(case.inputs(2), training=True)


@each("callback", "thawing", "phases", "search", "dataset")
def test_unused_callbacks_searches_and_datasets_are_pickled_and_copied(case):
    part = case.make(**({"build": keras.Sequential} if "search" in case.tags else {}))
    for other in copies(part).values():
        assert type(other) is type(part)
        for name in inspect.signature(case.part).parameters:
            if name not in ("data", "members", "files") and hasattr(part, name):
                assert getattr(other, name) == getattr(part, name)


@each("callback")
def test_used_callbacks_are_pickled_and_copied(case, trained):
    callback = trained(case).callback
    state, arrays = pack(callback.get_state())
    for other in copies(callback).values():
        again, arrays_again = pack(other.get_state())
        assert again == state
        assert same(arrays_again, arrays)


@each("model")
def test_models_are_pickled_and_copied(case, trained):
    model, x = trained(case).inner, case.inputs(3)
    for other in copies(model).values():
        np.testing.assert_allclose(other.predict(x, verbose=0), model.predict(x, verbose=0), 1e-5)


@each("layer", "initializer", "constraint", "regularizer", "loss")
def test_numbers_of_numpy_are_numbers(case):
    config = {**case.make().get_config(), "name": "part"}
    parameters = inspect.signature(case.part).parameters
    given = {
        name: np.array(value)[()]
        for name, value in config.items()
        if type(value) in (int, float) and name in parameters
    }
    again = case.make(**given).get_config()
    assert json.dumps({**again, "name": "part"}) == json.dumps(config)


@each("random")
@pytest.mark.one_backend
def test_a_seed_generator_is_a_seed(case):
    """Parts that share one draw apart; a generator of the same seed gives the same parts."""
    drawn = []
    for _ in range(2):
        generator = keras.random.SeedGenerator(3)
        drawn.append([draw(case, case.make(seed=generator)) for _ in range(2)])
    assert np.mean(drawn[0][0] != drawn[0][1]) > 0.1
    np.testing.assert_array_equal(drawn[0], drawn[1])


@each("layer")
def test_lowers_for_gpu_and_tpu(case, backend):
    """Training and its gradient, with nothing in them that only one machine could do."""
    if backend != "jax":
        pytest.skip("JAX lowers for platforms that are not there")
    import jax

    layer, x = case.make(), case.inputs(4).astype("float32")
    if not layer.built:
        layer.build(x.shape)
    state = [variable.value for variable in layer.non_trainable_variables]
    training = {"training": True} if "training" in inspect.signature(layer.call).parameters else {}

    def loss(weights, x):
        outputs, _ = layer.stateless_call(weights, state, x, **training)
        return keras.ops.sum(outputs)

    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    weights = [variable.value for variable in layer.trainable_variables]
    lowered = jax.export.export(step, platforms=["cuda", "tpu"])(weights, x)
    assert set(lowered.platforms) == {"cuda", "tpu"}
    assert "custom_call" not in lowered.mlir_module()
    assert "callback" not in lowered.mlir_module()


@each("layer")
@pytest.mark.parametrize("training", [False, True])
def test_symbolic_and_eager_shapes_agree(case, training):
    layer = case.make()
    symbolic = layer(keras.Input(case.input_shape), training=training)
    eager = layer(case.inputs(2), training=training)
    assert symbolic.shape == (None, *eager.shape[1:])
    assert tuple(layer.compute_output_shape(case.inputs(2).shape)) == tuple(eager.shape)
    assert keras.backend.standardize_dtype(symbolic.dtype) == keras.backend.standardize_dtype(
        eager.dtype
    )


@each("callback", "thawing")
def test_state_before_a_training(case):
    callback, twin = case.make(), case.make()
    text, arrays = pack(callback.get_state())
    twin.set_state(unpack(text, arrays))
    again, arrays_again = pack(twin.get_state())
    assert again == text
    assert same(arrays_again, arrays)


@each("callback")
def test_state_of_a_callback_is_plain_and_makes_it_anew(case, trained):
    callback = trained(case).callback
    text, arrays = pack(callback.get_state())
    arguments = inspect.signature(case.part).parameters
    twin = case.part(**{name: getattr(callback, name) for name in arguments})
    twin.set_state(unpack(text, arrays))
    again, arrays_again = pack(twin.get_state())
    assert again == text
    assert same(arrays_again, arrays)


@each("layer", "initializer", "constraint", "regularizer", "callback", "model")
def test_the_loss_of_a_training_is_finite(case, trained):
    losses = trained(case).losses
    assert len(losses) == 2
    assert np.isfinite(losses).all()


@each("layer", "initializer", "constraint", "regularizer", "callback", "model")
def test_xla_compiles_a_training_once(case, trained, backend):
    if backend == "torch":
        pytest.skip("compiled by hand, a minute each")
    training = trained(case)
    assert 0 < training.traces[0] == training.traces[1]
    assert training.model.jit_compile


@each("layer", "model")
def test_predict_does_the_same_as_a_call_in_a_last_partial_batch_too(case, trained):
    training = trained(case)
    called = numpy(training.model(training.x, training=False))
    np.testing.assert_allclose(training.predicted, called, rtol=1e-4, atol=1e-5)


@each("layer", "model")
def test_inference_is_deterministic_and_is_the_default_in_predict(case, trained):
    training = trained(case)
    again = training.model.predict(training.x, batch_size=4, verbose=0)
    np.testing.assert_array_equal(again, training.predicted)


@pytest.fixture(scope="module")
def fresh_process(trained, tmp_path_factory):
    """Every saveable part in a saved model, all loaded and run by one new process."""
    folder = tmp_path_factory.mktemp("fresh")
    paths = {}
    for case in SAVED:
        name, training = case.part.__name__, trained(case)
        paths[name] = str(folder / name)
        training.inner.save(paths[name] + ".keras")
        np.save(paths[name] + ".npy", training.x)
    (folder / "paths.json").write_text(json.dumps(paths))
    subprocess.run(
        [sys.executable, "-c", FRESH_PROCESS, folder / "paths.json"],
        check=True,
        timeout=300,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
    )
    return {name: np.load(path + ".npz") for name, path in paths.items()}


@pytest.mark.one_backend
@pytest.mark.parametrize("case", SAVED, ids=lambda case: case.part.__name__)
def test_saved_model_loads_in_a_fresh_process(case, trained, fresh_process):
    training, loaded = trained(case), fresh_process[case.part.__name__]
    np.testing.assert_allclose(loaded["outputs"], training.predicted, rtol=1e-5, atol=1e-6)
    losses = sum(float(numpy(loss)) for loss in training.inner.losses)
    np.testing.assert_allclose(loaded["losses"], losses, rtol=1e-5)
    assert (losses > 0) == ("regularizer" in case.tags)


@each("layer")
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("dtype", "precision"), [("float16", 2e-3), ("bfloat16", 2e-2)])
def test_mixed_precision(case, training, dtype, precision):
    x = case.inputs(4)
    half = case.make(dtype=f"mixed_{dtype}")(x, training=training)
    full = case.make()(x, training=training)
    assert keras.backend.standardize_dtype(half.dtype) == dtype
    half = numpy(keras.ops.cast(half, "float32"))
    np.testing.assert_allclose(half, numpy(full), rtol=precision, atol=precision)


@each("layer", "initializer", "constraint", "regularizer")
def test_trains_in_mixed_float16(case):
    with_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        losses = train(case, epochs=1).losses
    finally:
        keras.config.set_dtype_policy(with_policy)
    assert np.isfinite(losses).all()


@each("layer")
def test_input_is_not_modified(case):
    x = case.inputs(4)
    before = x.copy()
    case.make()(x, training=True)
    np.testing.assert_array_equal(x, before)
    if "image" in case.tags:
        data = {"images": x, "labels": np.arange(4)}
        case.make()(data, training=True)
        assert data["images"] is x
        np.testing.assert_array_equal(x, before)


def compiled(layer):
    """The layer in training, compiled by XLA."""
    if keras.backend.backend() == "jax":
        import jax

        if not layer.built:
            layer.build(None)
        state = [variable.value for variable in layer.variables]
        training = (
            {"training": True} if "training" in inspect.signature(layer.call).parameters else {}
        )
        return jax.jit(lambda x: layer.stateless_call([], state, x, **training)[0])
    import tensorflow as tf

    return tf.function(lambda x: layer(x, training=True), jit_compile=True)


def draw(case, part):
    if "initializer" in case.tags:
        return numpy(part((3, 3, 4, 8)))
    return numpy(part(case.inputs(4), training=True))


@each("random")
def test_same_seed_same_draws_and_successive_draws_differ(case):
    one, other = case.make(), case.make()
    first, second = draw(case, one), draw(case, one)
    assert np.mean(first != second) > 0.1
    np.testing.assert_array_equal(first, draw(case, other))
    np.testing.assert_array_equal(second, draw(case, other))
    assert np.mean(first != draw(case, case.make(seed=4))) > 0.1


@pytest.mark.parametrize(
    "case", [c for c in cases("random") if "layer" in c.tags], ids=lambda case: case.part.__name__
)
def test_images_of_one_batch_draw_apart(case):
    x = np.repeat(case.inputs(1), 2, axis=0)
    one, other = numpy(case.make()(x, training=True))
    assert np.mean(one != other) > 0.1


@each("colour", "geometric")
def test_identity_at_inference(case):
    x = case.inputs(4)
    np.testing.assert_array_equal(numpy(case.make()(x, training=False)), x.astype("float32"))


@each("layer")
def test_runs_in_tf_data(case, backend):
    tf = pytest.importorskip("tensorflow")
    if "image" not in case.tags and backend != "tensorflow":
        pytest.skip("plain layers run in tf.data on TensorFlow only")
    x, layer = case.inputs(6), case.make()
    if "image" not in case.tags:
        layer.build((None, *case.input_shape))
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(4)
    batches = [batch.numpy() for batch in dataset.map(lambda b: layer(b, training=True))]
    shape = layer.compute_output_shape(x.shape)[1:]
    assert [batch.shape for batch in batches] == [(4, *shape), (2, *shape)]
    assert np.isfinite(np.concatenate(batches)).all()
    if "random" in case.tags:
        assert np.mean(np.concatenate(batches) != x) > 0.1


@each("colour", "adapted")
def test_dict_changes_images_only(case, backend):
    """One-image and batched dicts, eager and in tf.data, with leaves that a cast would harm."""
    tf = pytest.importorskip("tensorflow")
    layer, x = case.make(dtype="mixed_float16"), case.inputs(4)
    data = {
        "images": x,
        "labels": np.array([3001, 3002, 3003, 3004], "int64"),
        "bounding_boxes": {"boxes": np.ones((4, 2, 4), "float32"), "classes": np.ones((4, 2))},
        "segmentation_masks": np.ones((4, 8, 7, 1), "uint8"),
        "file": np.array(["a", "b", "c", "d"]),
    }
    out = layer(data, training=True)
    assert keras.backend.standardize_dtype(out["images"].dtype) == "float16"
    assert all(out[key] is data[key] for key in data if key != "images")
    for dataset in (
        tf.data.Dataset.from_tensor_slices(data).map(layer),
        tf.data.Dataset.from_tensors(data).map(layer),
    ):
        element = next(iter(dataset))
        assert element["images"].dtype == tf.float16
        assert np.ravel(element["labels"])[0] == 3001
        assert element["labels"].dtype == tf.int64
        assert element["file"].dtype == tf.string
        assert element["segmentation_masks"].dtype == tf.uint8
        assert element["bounding_boxes"]["classes"].dtype == tf.float64
    with pytest.raises(ValueError, match="under the key 'images'"):
        layer({"image": x})


@each("colour", "geometric", "channels")
def test_channels_first_and_single_images_do_the_same(case):
    x = case.inputs(1)
    expected = numpy(case.make()(x, training=True))
    np.testing.assert_allclose(numpy(case.make()(x[0], training=True)), expected[0], atol=1e-3)
    first = case.make(data_format="channels_first")(np.moveaxis(x, -1, 1), training=True)
    np.testing.assert_allclose(np.moveaxis(numpy(first), 1, -1), expected, atol=1e-3)


@each("colour")
@pytest.mark.parametrize("shape", [(7,), (8, 7), (2, 8, 7, 4), (2, 2, 8, 7, 4), (8, 7, 1)])
def test_images_must_be_rgb(case, shape):
    with pytest.raises(ValueError, match=f"{case.part.__name__} `.*RGB images"):
        case.make()(np.zeros(shape, "float32"))


@each("geometric")
@pytest.mark.parametrize("shape", [(7,), (8, 7), (2, 2, 2, 8, 7, 3)])
def test_images_must_have_rank_3_to_5(case, shape):
    with pytest.raises(ValueError, match=f"{case.part.__name__} `.*takes images of shape"):
        case.make()(np.zeros(shape, "float32"))
    assert case.make()(np.zeros((2, 8, 7, 5), "float32")).shape == (2, 8, 7, 5)


@each("colour", "geometric")
@pytest.mark.one_backend
def test_extreme_pixels_stay_finite_and_in_range(case):
    pixels = [[0, 0, 0], [255, 255, 255], [128, 128, 128], [255, 0, 0], [1, 0, 255]]
    x = np.resize(np.array(pixels, "uint8"), (50, *case.input_shape))
    for images in (x, x.astype("float32"), x[:, :1, :1]):
        if images.shape[1:] == case.input_shape or "window" not in case.tags:
            out = numpy(case.make()(images, training=True))
            assert np.isfinite(out).all()
            assert out.min() >= 0
            assert out.max() <= 255
    assert numpy(case.make()(x[:0], training=True)).shape == (0, *case.input_shape)


@each("image")
def test_pixels_must_be_finite(case, backend):
    """Refused where errors can be raised; inside XLA, where none can, the output is finite."""
    images = np.repeat(case.inputs(4).astype("float32")[None], 3, axis=0)
    images[:, 1, 2, 3, 1] = [np.nan, np.inf, -np.inf]
    run = compiled(case.make()) if backend != "torch" else None
    for x in images:
        with pytest.raises(ValueError, match=f"{case.part.__name__} `.*needs finite pixels"):
            case.make()(x, training=True)
        assert run is None or np.isfinite(numpy(run(x))).all()
    tf = pytest.importorskip("tensorflow")
    layer = case.make()
    dataset = tf.data.Dataset.from_tensor_slices(images)
    batches = iter(dataset.map(lambda x: layer(x, training=True)))
    for _ in images:
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"{case.part.__name__} `.*finite"):
            next(batches)


@each("colour")
def test_pixels_must_lie_in_the_value_range(case):
    x = case.inputs(4).astype("float32")
    for outside in (x - 128, x * 2, x.astype("int32") - 128, x.astype("uint16") * 2):
        with pytest.raises(ValueError, match=r"finite pixels in value_range=\(0, 255\)"):
            case.make()(outside, training=True)
    with pytest.raises(ValueError, match=r"finite pixels in value_range=\(0, 1\)"):
        case.make(value_range=(0, 1))(case.inputs(4), training=True)
    np.testing.assert_allclose(
        numpy(case.make()(x.astype("int64"), training=True)),
        numpy(case.make()(case.inputs(4), training=True)),
        atol=1e-3,
    )


@pytest.mark.parametrize(
    "case", [c for c in cases("image") if "random" in c.tags], ids=lambda case: case.part.__name__
)
@pytest.mark.one_backend
def test_a_model_without_training_does_not_augment(case, tmp_path, backend):
    x = case.inputs(3)
    model = keras.Sequential([keras.Input(case.input_shape), case.make()])
    np.testing.assert_array_equal(numpy(model(x)), x)
    assert np.mean(numpy(model(x, training=True)) != x) > 0.1
    assert np.mean(numpy(case.make()(x)) != x) > 0.1
    if backend == "tensorflow":
        import tensorflow as tf

        model.export(tmp_path / "model", verbose=False)
        served = tf.saved_model.load(tmp_path / "model").serve(x.astype("float32"))
        np.testing.assert_array_equal(served.numpy(), x)


@each("image")
def test_images_must_be_one_tensor_of_known_rank(case):
    name = case.part.__name__
    with pytest.raises(ValueError, match=f"{name} `.*got list: give one array"):
        case.make()([np.zeros((8, 7, 3)), np.zeros((9, 7, 3))])
    tf = pytest.importorskip("tensorflow")
    ragged = tf.ragged.stack([tf.zeros((8, 7, 3)), tf.zeros((9, 7, 3))])
    dataset = tf.data.Dataset.from_tensors(ragged)
    with pytest.raises(ValueError, match=f"{name} `.*got a RaggedTensor: resize"):
        dataset.map(case.make())
    unknown = tf.data.Dataset.from_generator(lambda: iter([]), output_types="uint8")
    with pytest.raises(ValueError, match=f"{name} `.*unknown rank"):
        unknown.map(case.make())


@each("colour", "geometric", "channels")
def test_images_of_any_size_in_tf_data(case):
    """Sizes that are known only when the images come: one by one, without a compilation each."""
    tf = pytest.importorskip("tensorflow")
    layer = case.make()
    images = [np.full((8 + i, 7 + i, 3), 9 * i, "uint8") for i in range(4)]
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(images), output_signature=tf.TensorSpec((None, None, 3), "uint8")
    )
    shapes = [out.shape for out in dataset.map(lambda image: layer(image, training=True))]
    grows = "window" not in case.tags
    assert shapes == [(8 + i * grows, 7 + i * grows, 3) for i in range(4)]
