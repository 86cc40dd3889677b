"""The peers, each in the set-ups that are honest and may be its fastest."""

from concurrent.futures import ThreadPoolExecutor

from contestants import contestant
from measure import CORES, images
from steps import compiled

COLOUR_JITTER = {
    "value_range": (0, 255),
    "brightness_factor": 0.3,
    "contrast_factor": 0.3,
    "saturation_factor": 0.3,
    "hue_factor": 0.1,
}


@contestant("keras_cv RandomColorJitter, graph mode", "hsv", "keras_cv")
def _():
    import keras_cv

    return compiled(keras_cv.layers.RandomColorJitter(**COLOUR_JITTER), jit=False)


@contestant("keras_cv RandomColorJitter, jit", "hsv", "keras_cv")
def _():
    import keras_cv

    return compiled(keras_cv.layers.RandomColorJitter(**COLOUR_JITTER))


@contestant("Keras RandomColorJitter, jit, {backend}", "hsv", "tensorflow", "jax")
def _():
    import keras

    return compiled(keras.layers.RandomColorJitter(**COLOUR_JITTER))


def _rotation_then_zoom(jit):
    import keras

    layers = [keras.layers.RandomRotation(0.05), keras.layers.RandomZoom(0.2)]
    return compiled(keras.Sequential(layers), jit=jit)


@contestant("Keras RandomRotation, RandomZoom, graph mode, TensorFlow", "affine", "tensorflow")
def _():
    return _rotation_then_zoom(jit=False)  # XLA has no kernel for them on TensorFlow


@contestant("Keras RandomRotation, RandomZoom, jit, JAX", "affine", "jax")
def _():
    return _rotation_then_zoom(jit=True)


@contestant("kornia RandomHue, float32", "hsv", "kornia")
def _():
    import torch
    from kornia.augmentation import RandomHue

    batch = torch.from_numpy(images("float32", top=1)).permute(0, 3, 1, 2).contiguous()
    transform = RandomHue(hue=(-0.1, 0.1), p=1.0)
    return torch.inference_mode()(lambda: transform(batch))


def _hue_saturation_value(albumentations):
    return albumentations.HueSaturationValue(36, 64, 64, p=1)


def _fancy_pca(albumentations):
    return albumentations.FancyPCA(alpha=0.1, p=1)


def _affine(albumentations):
    return albumentations.Affine(
        rotate=(-18, 18),
        scale=(1 / 1.2, 1.2),
        translate_percent=(-0.1, 0.1),
        shear=(-5.7, 5.7),
        border_mode=2,  # cv2.BORDER_REFLECT
        p=1,
    )


def _loop(make, batch):
    """A loop over the images, in which OpenCV has its threads."""

    def build():
        import albumentations

        transform, pixels = make(albumentations), images(*batch)
        return lambda: [transform(image=image)["image"] for image in pixels]

    return build


def _threads(make, batch):
    """A thread per core, each with a transform of its own; OpenCV and BLAS add none."""

    def build():
        import albumentations
        import cv2
        from threadpoolctl import threadpool_limits

        cv2.setNumThreads(0)
        threadpool_limits(1)
        pool, pixels = ThreadPoolExecutor(CORES), images(*batch)
        transforms = [make(albumentations) for _ in range(CORES)]

        def share(start):
            return [transforms[start](image=image)["image"] for image in pixels[start::CORES]]

        return lambda: [image for part in pool.map(share, range(CORES)) for image in part]

    return build


for label, work, make, batches in (
    ("HueSaturationValue", "hsv", _hue_saturation_value, ("float32", "uint8")),
    ("FancyPCA", "pca", _fancy_pca, ("float32", "uint8")),
    ("Affine", "affine", _affine, ("uint8",)),
):
    for dtype in batches:
        batch = (dtype, 1 if dtype == "float32" else 255)
        for name, set_up in (("loop", _loop), ("threads", _threads)):
            add = contestant(
                f"albumentations {label}, {dtype}, {name}", work, f"albumentations {name}"
            )
            add(set_up(make, batch))


@contestant("np.cov, rowvar=False", "adapt", "numpy", draws=False)
def _():
    import numpy as np

    pixels = images().reshape(-1, 3)
    return lambda: np.cov(pixels, rowvar=False)


@contestant("np.cov, channels copied into rows", "adapt", "numpy", draws=False)
def _():
    import numpy as np

    pixels = images().reshape(-1, 3)
    return lambda: np.cov(np.ascontiguousarray(pixels.T, "float64"))


@contestant("sklearn IncrementalPCA, an image at a time", "adapt", "numpy", draws=False)
def _():
    from sklearn.decomposition import IncrementalPCA

    def step():
        model = IncrementalPCA(n_components=3)
        for image in images():
            model.partial_fit(image.reshape(-1, 3))

    return step
