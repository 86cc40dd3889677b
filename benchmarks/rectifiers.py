"""RReLU beside other rectifiers and beside dropout: forward, and forward with backward."""

from contestants import Unavailable, contestant
from measure import GPU_MAPS, MAPS, normals
from steps import compiled

GPU_CALLS = 20
SET_UPS = {  # by worker and by whether XLA compiles
    ("tensorflow", True): "jit, TensorFlow",
    ("tensorflow", False): "graph mode, TensorFlow",
    ("jax", True): "jit, JAX",
    ("torch", False): "eager, PyTorch",
}
PASSES = ("forward", "forward+backward")


def rrelu():
    from keras_dcnn.layers import RReLU

    return RReLU()


def prelu():
    from keras_dcnn.layers import PReLU

    return PReLU()


def relu():
    import keras

    return keras.layers.ReLU()


def leaky_relu():
    import keras

    return keras.layers.LeakyReLU()


def dropout():
    import keras

    return keras.layers.Dropout(0.5)


def rrelu_through_keras_random():
    """RReLU as one writes it from what Keras has, with slopes from `keras.random`."""
    import keras

    class RReLU(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.generator = keras.random.SeedGenerator()

        def call(self, x):
            slopes = 1 / keras.random.uniform(keras.ops.shape(x), 3, 8, seed=self.generator)
            return keras.ops.where(x >= 0, x, slopes * x)

    return RReLU()


def torch_rrelu():
    import keras
    import torch

    function = torch.nn.functional.rrelu
    return keras.layers.Lambda(lambda x: function(x, 1 / 8, 1 / 3, training=True))


LAYERS = {
    "RReLU": rrelu,
    "RReLU through keras.random": rrelu_through_keras_random,
    "torch.nn.functional.rrelu": torch_rrelu,
    "Dropout": dropout,
    "LeakyReLU": leaky_relu,
    "PReLU": prelu,
    "ReLU": relu,
}
WITHOUT_DRAWS = ("LeakyReLU", "PReLU", "ReLU")


def _step(make_layer, backward, maps, calls, jit):
    import keras

    # A model of one layer: it alone knows which layers take `training`.
    model = keras.Sequential([make_layer()])
    upstream = normals(maps, seed=1) if backward else None
    return compiled(model, normals(maps), upstream, calls, jit)


def _on_cpu(make_layer, backward, jit):
    return lambda: _step(make_layer, backward, MAPS, calls=1, jit=jit)


def _on_gpu(make_layer, backward):
    def build():
        import jax

        if jax.default_backend() != "gpu":
            raise Unavailable("JAX sees no GPU")
        return _step(make_layer, backward, GPU_MAPS, GPU_CALLS, jit=True)

    return build


def _add(name, passes, set_up, worker, build, images):
    label, draws = f"{name}, {passes}, {set_up}", name not in WITHOUT_DRAWS
    contestant(label, "rrelu", worker, images=images, draws=draws)(build)


for (worker, jit), set_up in SET_UPS.items():
    for backward, passes in enumerate(PASSES):
        for name, make_layer in LAYERS.items():
            if worker == "torch" or make_layer is not torch_rrelu:
                build = _on_cpu(make_layer, backward, jit)
                _add(name, passes, set_up, worker, build, MAPS[0])
for backward, passes in enumerate(PASSES):
    for name in ("RReLU", "ReLU"):
        build, images = _on_gpu(LAYERS[name], backward), GPU_MAPS[0] * GPU_CALLS
        _add(name, passes, "jit, JAX on a GPU", "gpu", build, images)
