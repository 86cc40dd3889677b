"""The targets, and the rows that say how far they are met."""

from statistics import median
from typing import NamedTuple

from tables import median_ratio, number, spread


class Target(NamedTuple):
    """What `ours` is to reach beside the fastest of `peers`."""

    ours: str
    peers: tuple
    sign: str  # "≥": so many times the images/s, "≤": so many times the time for an image
    bound: float

    def __str__(self):
        return f"{self.sign} {self.bound}"

    def meets(self, ratio):
        return ratio >= self.bound if self.sign == "≥" else ratio <= self.bound


def faster(ours, *peers, least):
    """`ours` handles at least so many times the images of a second."""
    return Target(ours, peers, "≥", least)


def no_slower(ours, *peers, most):
    """`ours` takes at most so many times the time."""
    return Target(ours, peers, "≤", most)


def _albumentations(name, *dtypes):
    return tuple(
        f"albumentations {name}, {dtype}, {set_up}"
        for dtype in dtypes
        for set_up in ("loop", "threads")
    )


def _jitted(backend):
    """What is asked of the image layers compiled on one backend."""
    hsv, pca, affine = (
        f"{name}, jit, {backend}" for name in ("RandomHSV", "FancyPCA", "RandomAffine")
    )
    rotation_zoom = {
        "TensorFlow": "Keras RandomRotation, RandomZoom, graph mode, TensorFlow",
        "JAX": "Keras RandomRotation, RandomZoom, jit, JAX",
    }
    return [
        faster(hsv, "keras_cv RandomColorJitter, graph mode", least=4),
        faster(hsv, "keras_cv RandomColorJitter, jit", least=4),
        faster(hsv, *_albumentations("HueSaturationValue", "float32"), least=1.3),
        faster(hsv, "kornia RandomHue, float32", least=10),
        faster(pca, f"x + 1, jit, {backend}", least=0.6),
        faster(pca, *_albumentations("FancyPCA", "float32", "uint8"), least=10),
        faster(affine, rotation_zoom[backend], least=4),
        faster(affine, *_albumentations("Affine", "uint8"), least=1),
    ]


def _rectifiers(passes):
    """What is asked of RReLU, forward or forward and backward."""

    def label(name, set_up):
        return f"{name}, {passes}, {set_up}"

    rows = []
    for set_up, least in (("jit, TensorFlow", 100), ("jit, JAX", 5)):
        ours, peer = label("RReLU", set_up), label("RReLU through keras.random", set_up)
        rows.append(no_slower(ours, label("LeakyReLU", set_up), most=1.25))
        rows.append(faster(ours, peer, least=least))
    for set_up in ("graph mode, TensorFlow", "eager, PyTorch"):
        ours, peer = label("RReLU", set_up), label("RReLU through keras.random", set_up)
        rows.append(no_slower(ours, peer, most=1.2))
    on_gpu = (label(name, "jit, JAX on a GPU") for name in ("RReLU", "ReLU"))
    return [*rows, no_slower(*on_gpu, most=1.1)]


def _training(backend):
    """What RReLU may cost in a step of training, beside ReLU."""
    ours, peer = (f"network in network with {name}, jit, {backend}" for name in ("RReLU", "ReLU"))
    return no_slower(ours, peer, most=1.05)


TARGETS = (
    *_jitted("TensorFlow"),
    *_jitted("JAX"),
    faster("RandomHSV, tf.data, uint8", *_albumentations("HueSaturationValue", "uint8"), least=1),
    faster(
        "FancyPCA.adapt, uint8",
        "np.cov, rowvar=False",
        "np.cov, channels copied into rows",
        least=2,
    ),
    faster("FancyPCA.adapt, uint8", "sklearn IncrementalPCA, an image at a time", least=8),
    *_rectifiers("forward"),
    *_rectifiers("forward+backward"),
    _training("TensorFlow"),
    _training("JAX"),
)
FLAT = 1.1  # the peak memory on ten times as many images may be so many times as high, or 1 MiB
MEMORY = {  # by work: what of RReLU's is compared with LeakyReLU's, how many times that it may be
    "rrelu": ("RReLU, kept for the backward pass, JAX", 1),
    "cnn": ("network in network with RReLU, temporary, JAX", 1.05),  # XLA's order of its buffers
}
KEY = 64  # bytes that don't count: the key of the draws, and XLA's pointers to it


def target_rows(rates, absent):
    """A row per target whose work was run. `rates`: by label, a figure per round."""
    known = [target for target in TARGETS if target.ours in rates or target.ours in absent]
    return [_row(target, rates, absent) for target in known]


def _row(target, rates, absent):
    peers = [peer for peer in target.peers if peer in rates]
    if target.ours not in rates or not peers:
        reason = absent.get(target.ours) or absent[target.peers[0]]
        return target.ours, target.peers[0], str(target), "–", reason
    fastest = max(peers, key=lambda peer: median(rates[peer]))
    sides = rates[target.ours], rates[fastest]
    ratio, ratios = median_ratio(*(sides if target.sign == "≥" else reversed(sides)))
    verdict = "met" if target.meets(ratio) else "missed"
    return target.ours, fastest, str(target), f"{number(ratio)} ({spread(ratios)})", verdict


def peak_rows(peaks):
    """The row on the peak memory of `adapt`. `peaks`: MiB by number of images, or nothing."""
    if not peaks:
        return []
    (few, low), (many, high) = sorted(peaks.items())
    verdict = "met" if high <= max(FLAT * low, low + 1) else "missed"
    measured = f"{high / low:.2f} ({low:.2g} MiB, {high:.2g} MiB)"
    ours = f"FancyPCA.adapt, uint8, peak memory on {many} images"
    return [(ours, f"on {few} images", f"≤ {FLAT}", measured, verdict)]


def kept_rows(kept):
    """The rows on the memory that XLA counts. `kept`: bytes by work and by layer."""
    rows = []
    for work, taken in kept.items():
        (label, bound), ours, peer = MEMORY[work], taken["RReLU"], taken["LeakyReLU"]
        measured = f"{ours / peer:.2f} ({ours} bytes, {peer} bytes)"
        verdict = "met" if ours <= bound * peer + KEY else "missed"
        rows.append((label, "LeakyReLU", f"≤ {bound}", measured, verdict))
    return rows
