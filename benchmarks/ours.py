"""Our layers through their public API, and `x + 1` as the yardstick of a copy."""

from contestants import Unavailable, contestant
from measure import BATCH, SIZE, images
from steps import compiled

EPOCH = 16  # batches in one pass over the tf.data pipeline
GPU_BATCH, GPU_CALLS = 1024, 20  # far beyond the caches, and beyond the cost of a launch


def plus_one():
    import keras

    return keras.layers.Lambda(lambda x: x + 1.0)


def random_hsv():
    from keras_dcnn.layers import RandomHSV

    return RandomHSV()  # both powers, both scales and shifts, and the hue


def fancy_pca():
    from keras_dcnn.layers import FancyPCA

    return FancyPCA()


def random_affine():
    from keras_dcnn.layers import RandomAffine

    return RandomAffine(rotation=0.05, zoom=0.2, translation=0.1, shear=0.1)


def random_padded_crop():
    from keras_dcnn.layers import RandomPaddedCrop

    return RandomPaddedCrop(SIZE, SIZE, padding=16, flip=True)


@contestant("x + 1, jit, {backend}", "hsv pca affine", "tensorflow", "jax", draws=False)
def _():
    return compiled(plus_one())


@contestant("RandomHSV, jit, {backend}", "hsv", "tensorflow", "jax")
def _():
    return compiled(random_hsv())


@contestant("RandomHSV, tf.data, uint8", "hsv", "tensorflow", images=EPOCH * BATCH)
def _():
    import tensorflow as tf

    layer = random_hsv()
    dataset = tf.data.Dataset.from_tensors(images()).cache().repeat(EPOCH)
    dataset = dataset.map(lambda x: layer(x, training=True), num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)

    def step():  # a whole pass, so that nothing is computed ahead when the step has returned
        *_, last = dataset
        return last

    return step


@contestant("FancyPCA, jit, {backend}", "pca", "tensorflow", "jax")
def _():
    return compiled(fancy_pca())


@contestant("RandomAffine, jit, {backend}", "affine", "tensorflow", "jax")
def _():
    return compiled(random_affine())


@contestant("FancyPCA.adapt, uint8", "adapt", "tensorflow", draws=False)
def _():
    from keras_dcnn.layers import FancyPCA

    pixels = images()
    return lambda: FancyPCA().adapt(pixels)


def _on_gpu(make_layer):
    def build():
        import jax

        if jax.default_backend() != "gpu":
            raise Unavailable("JAX sees no GPU")
        return compiled(make_layer(), images("float32", count=GPU_BATCH), calls=GPU_CALLS)

    return build


for make_layer, label in (
    (plus_one, "x + 1"),
    (random_hsv, "RandomHSV"),
    (fancy_pca, "FancyPCA"),
    (random_affine, "RandomAffine"),
    (random_padded_crop, "RandomPaddedCrop"),
):
    contestant(f"{label}, GPU", "gpu", "gpu", images=GPU_BATCH * GPU_CALLS, draws=label != "x + 1")(
        _on_gpu(make_layer)
    )
