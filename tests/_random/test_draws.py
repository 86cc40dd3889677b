"""Draws do not repeat: not between images, epochs, threads, parallel calls or worker processes."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import keras
import numpy as np
import numpy_noise
import pytest

from keras_dcnn.layers import FancyPCA, RandomAffine, RandomHSV, RandomPaddedCrop, RReLU

pytestmark = pytest.mark.every_backend
GREY = np.full((1, 1, 3), 128, "uint8")


def shifter(seed=0, **arguments):
    """A layer that shows its draw: the colour that a grey pixel gets."""
    return FancyPCA(1.0, clip=False, seed=seed, **arguments)


def colours(batches):
    """One row for each image, as NumPy."""
    arrays = [np.asarray(keras.ops.convert_to_numpy(batch)) for batch in batches]
    return np.concatenate([array.reshape(-1, 3) for array in arrays])


def distinct(rows):
    return len(np.unique(rows, axis=0))


def python(code, **environment):
    """Run `code` in a process of its own."""
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def epochs_of(layer, tf, images, batch=None, **options):
    dataset = tf.data.Dataset.from_tensors(GREY).repeat(images)
    dataset = dataset.batch(batch) if batch else dataset
    dataset = dataset.map(lambda image: layer(image, training=True), **options)
    return np.concatenate([colours(dataset.as_numpy_iterator()) for _ in range(2)])


@pytest.mark.parametrize("batch", [None, 10])
@pytest.mark.parametrize("parallel", [None, 8])
def test_tf_data(batch, parallel):
    tf = pytest.importorskip("tensorflow")
    images = 1000 if parallel else 200
    first = epochs_of(shifter(), tf, images, batch=batch, num_parallel_calls=parallel)
    assert distinct(first) == 2 * images
    again = epochs_of(shifter(), tf, images, batch=batch, num_parallel_calls=parallel)
    if parallel:  # which image gets which draw is a matter of scheduling; the draws are the same
        first, again = (rows[np.lexsort(rows.T)] for rows in (first, again))
    np.testing.assert_array_equal(first, again)


@pytest.fixture
def hasty_threads():
    """They take turns fifty times as often; an unprotected count then repeats 10 % of 200 draws."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 50)
    yield
    sys.setswitchinterval(before)


@pytest.mark.slow
def test_threads(hasty_threads):
    layer = shifter()
    with ThreadPoolExecutor(8) as pool:
        rows = colours(pool.map(lambda _: layer(GREY, training=True), range(200)))
    assert distinct(rows) == 200
    sequential = shifter()
    expected = colours(sequential(GREY, training=True) for _ in range(200))
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], expected[np.lexsort(expected.T)])


def test_py_dataset_with_threads(hasty_threads):
    layer = shifter()

    class Augmented(keras.utils.PyDataset):
        def __len__(self):
            return 30

        def __getitem__(self, index):
            images = layer(np.repeat(GREY[None], 4, 0), training=True)
            return keras.ops.convert_to_numpy(images), np.zeros(4)

    model = keras.Sequential([keras.Input((1, 1, 3)), keras.layers.Flatten()])
    augmented = Augmented(workers=4, max_queue_size=20)
    rows = [model.predict(augmented, verbose=0) for _ in range(2)]
    assert distinct(np.concatenate(rows)) == 240


def test_processes_and_replicas_draw_apart(backend, monkeypatch):
    """As they are told apart; slow tests below ask real ones."""

    def row():
        return colours([shifter()(GREY, training=True)])[0]

    rows = [row()]
    with monkeypatch.context() as patch:
        process = SimpleNamespace(name="Process-1")
        patch.setattr(multiprocessing, "current_process", lambda: process)
        rows += [row()]
    if backend == "tensorflow":
        import tensorflow as tf

        for number in range(3):
            replica = SimpleNamespace(num_replicas_in_sync=3, replica_id_in_sync_group=number)
            monkeypatch.setattr(tf.distribute, "get_replica_context", lambda r=replica: r)
            rows += [row()]
        np.testing.assert_array_equal(rows.pop(2), rows[0])  # the first draws as one alone
    assert distinct(rows) == len(rows)


WORKERS = """
import os
os.environ["KERAS_BACKEND"] = "torch"
import numpy as np, torch
import keras_dcnn

class Augmented(torch.utils.data.Dataset):
    def __init__(self):
        self.layer = keras_dcnn.layers.FancyPCA(1.0, clip=False, seed=0)
    def __len__(self):
        return 64
    def __getitem__(self, index):
        return self.layer(np.full((1, 1, 3), 128, "uint8"), training=True)

def rows(stay):
    loader = torch.utils.data.DataLoader(Augmented(), 8, num_workers=4, persistent_workers=stay)
    return np.concatenate([b.numpy().reshape(-1, 3) for _ in range(2) for b in loader])

for stay in (False, True):
    np.save(f"{stay}", rows(stay))
"""


@pytest.mark.slow
def test_torch_data_loader_workers(tmp_path, backend, monkeypatch):
    if backend != "torch":
        pytest.skip("the workers are forked, which TensorFlow and JAX do not survive")
    runs = []
    for run in ("1", "2"):
        (tmp_path / run).mkdir()
        monkeypatch.chdir(tmp_path / run)
        python(WORKERS)
        runs.append([np.load(f"{stay}.npy") for stay in (False, True)])
    for one, again in zip(*runs, strict=True):
        assert distinct(one) == 128
        np.testing.assert_array_equal(one, again)


REPLICAS = """
import keras, numpy as np, tensorflow as tf
from keras_dcnn.layers import FancyPCA, RReLU
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    layer = FancyPCA(1.0, clip=False, seed=0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), RReLU(seed=0),
                              keras.layers.Dense(4), RReLU(seed=0), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
step = tf.function(lambda: (layer(tf.fill((4, 1, 1, 3), 128), training=True),
                            model.layers[1](tf.fill((4, 4), -1.0), training=True)))
runs = [strategy.experimental_local_results(values)
        for _ in range(3) for values in strategy.run(step)]
for rows in (runs[0::2], runs[1::2]):
    rows = np.concatenate([values.numpy() for value in rows for values in value])
    print("distinct", len(np.unique(rows.reshape(24, -1), axis=0)))
history = model.fit(np.ones((10, 3)), np.ones(10), batch_size=4, epochs=2, verbose=0).history
print("finite", np.isfinite(history["loss"]).all())
"""
DETERMINISM = """
import keras, numpy as np, tensorflow as tf
from keras_dcnn.layers import FancyPCA
tf.config.experimental.enable_op_determinism()
keras.utils.set_random_seed(0)
def rows():
    layer = FancyPCA(1.0, clip=False, seed=0)
    data = tf.data.Dataset.from_tensors(np.full((1, 1, 3), 128, "uint8")).repeat(500)
    data = data.map(lambda image: layer(image, training=True), num_parallel_calls=8)
    return np.stack(list(data.as_numpy_iterator()))
one = rows()
print("distinct", len(np.unique(one.reshape(-1, 3), axis=0)))
print("equal", np.array_equal(one, rows()))
"""


DATA_PARALLEL = """
import keras, numpy as np
from keras_dcnn.layers import RReLU
import jax
assert len(jax.devices()) == 8

def train():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 3)).astype("float32")
    model = keras.Sequential([keras.Input((8, 8, 3)), RReLU(seed=1), keras.layers.Conv2D(4, 3),
                              RReLU(seed=1), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, np.arange(64) % 2, batch_size=32, epochs=3, shuffle=False, verbose=0)
    return model.get_weights()

def slopes(sharding):
    layer = RReLU(seed=1)
    layer.build((64, 50))
    x = jax.device_put(np.full((64, 50), -1.0, "float32"), sharding)
    state = jax.device_put([v.value for v in layer.non_trainable_variables], jax.devices()[0])
    call = jax.jit(lambda x: layer.stateless_call([], state, x, training=True)[0])
    assert "all-" not in call.lower(x).compile().as_text()  # each device draws its own
    return np.asarray(call(x))

mesh = jax.sharding.Mesh(jax.devices(), "batch")
shared_out = slopes(jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch")))
print("distinct", len(np.unique(shared_out, axis=0)))
print("equal", np.array_equal(shared_out, slopes(jax.devices()[0])))
single = train()
keras.distribution.set_distribution(keras.distribution.DataParallel())
print("close", all(np.allclose(a, b, atol=1e-6) for a, b in zip(single, train())))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("on", "code", "said"),
    [
        ("tensorflow", REPLICAS, "distinct 24 distinct 24 finite True"),
        ("tensorflow", DETERMINISM, "distinct 500 equal True"),
        ("jax", DATA_PARALLEL, "distinct 64 equal True close True"),
    ],
    ids=["replicas", "parallel calls under op determinism", "data parallel"],
)
def test_in_a_process_of_its_own(on, code, said, backend):
    if backend != on:
        pytest.skip(f"of {on} only")
    done = python(code, XLA_FLAGS="--xla_force_host_platform_device_count=8")
    assert " ".join(done.stdout.split()) == said


def test_epochs_of_a_model(backend):
    if backend == "jax":
        pytest.skip("JAX traces in eager mode too, so that nothing can be recorded")
    seen = []

    class Record(keras.layers.Layer):
        def call(self, x):
            if "meta" not in str(getattr(x, "device", "")):  # of torch, without values
                seen.append(x)
            return keras.ops.mean(x, axis=(1, 2))

        def compute_output_shape(self, input_shape):
            return input_shape[0], 3

    layers = [keras.Input((1, 1, 3)), shifter(), Record(), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse", run_eagerly=True, jit_compile=False)
    model.fit(np.repeat(GREY[None], 20, 0), np.zeros(20), batch_size=5, epochs=2, verbose=0)
    assert distinct(colours(seen)) == 40


def test_one_layer_in_tf_data_and_beside_it():
    """One stream on TensorFlow, two elsewhere: no draw of the one is one of the other."""
    tf = pytest.importorskip("tensorflow")
    layer = shifter()
    rows = colours(layer(np.repeat(GREY[None], 5, 0), training=True) for _ in range(3))
    dataset = tf.data.Dataset.from_tensors(np.repeat(GREY[None], 5, 0)).repeat(3).map(layer)
    assert distinct(np.concatenate([rows, colours(dataset.as_numpy_iterator())])) == 30


def test_layers_of_one_seed_draw_apart_unless_they_are_of_one_class():
    x = np.zeros((50, 4, 4, 3))
    draws = [
        keras.ops.convert_to_numpy(layer.uniform(x, 7)).ravel()
        for layer in (FancyPCA(seed=1), RandomHSV(seed=1), RandomAffine(seed=1), RandomHSV(seed=2))
    ]
    assert np.abs(np.corrcoef(draws)[np.triu_indices(4, 1)]).max() < 0.27  # standard error 0.053
    same = keras.ops.convert_to_numpy(RandomHSV(seed=1).uniform(x, 7)).ravel()
    np.testing.assert_array_equal(same, draws[1])


def test_layers_of_one_seed_and_class_draw_apart_in_a_model():
    inputs = keras.Input((1, 1, 3))
    outputs = [shifter()(inputs) for _ in range(3)]
    first = np.stack(keras.Model(inputs, outputs)(GREY[None], training=True)).reshape(3, 3)
    assert distinct(first) == 3
    again = keras.Model(inputs, [shifter()(inputs) for _ in range(3)])(GREY[None], training=True)
    np.testing.assert_array_equal(np.stack(again).reshape(3, 3), first)


def parameters_by_their_definition(count, images=5, seed=7):
    """What the layers of `test_a_seed_gives_…` draw in the `count`-th step, by NumPy."""

    def uniform(name, draws):
        return numpy_noise.uniform(numpy_noise.stream(name, seed), count, (images, draws))

    alpha = numpy_noise.normal(numpy_noise.stream("FancyPCA", seed), count, (images, 3))
    hsv, zoom = uniform("RandomHSV", 7), 4 ** (2 * uniform("RandomAffine", 9)[:, 1] - 1)
    corner, mirrored = np.split(uniform("RandomPaddedCrop", 3), [2], axis=1)
    corner = np.floor(corner * 5) - 1  # of a window of 8 in 10 pixels, padded by 1
    a = 3 + 5 * numpy_noise.uniform(numpy_noise.stream("RReLU", seed), count, (images, 3))
    return {
        "FancyPCA": 0.1 * 255 * alpha * [0.3, 0.2, 0.1],
        "RandomHSV": -0.25 + 0.5 * hsv[:, 0],
        "RandomAffine": 1 / zoom,
        "RandomPaddedCrop": corner + np.array([0, 7]) * (mirrored < 0.5),
        "RReLU": -1 / a,
    }


def test_a_seed_gives_the_same_parameters_on_every_backend():
    off = {"rotation": None, "translation": None}
    layers = [
        FancyPCA(0.1, eigenvalues=(0.3, 0.2, 0.1), eigenvectors=np.eye(3), seed=7),
        RandomHSV(hue=0.25, seed=7),
        RandomAffine(**off, zoom=(0.25, 4.0), seed=7),
        RandomPaddedCrop(8, 8, padding=1, flip=True, seed=7),
    ]
    rrelu, images = RReLU(seed=7), np.zeros((5, 10, 10, 3), "uint8")
    for count in range(2):
        pca, hsv, affine, crop = (layer.get_random_transformation(images) for layer in layers)
        drawn = {
            "FancyPCA": pca,
            "RandomHSV": hsv["hue"][0][:, 0, 0],
            "RandomAffine": affine["matrix"][:, 0, 0],
            "RandomPaddedCrop": crop["offset"],
            "RReLU": rrelu(np.full((5, 3), -1.0, "float32"), training=True),
        }
        for name, expected in parameters_by_their_definition(count).items():
            values = keras.ops.convert_to_numpy(drawn[name])
            np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("seed", [-1, 2**31, 1.5, "a", True])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match="`seed` must be"):
        FancyPCA(seed=seed)


def test_largest_seed():
    assert np.isfinite(colours([shifter(seed=2**31 - 1)(GREY, training=True)])).all()
