"""One pass over labelled images: what the model says, what the data are, and a few of them."""

from collections import Counter
from functools import partial

import numpy as np

from keras_dcnn._reading.batches import as_array
from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn._reading.labelled import LabelledImages
from keras_dcnn._reading.labels import check_labels
from keras_dcnn.ensemble.combining.ensemble_on_disk import EnsembleOnDisk
from keras_dcnn.imbalance._remedy_scores import softmax
from keras_dcnn.visualization._sample_losses import sample_losses

WORST = 18  # images that are shown
_EXAMPLES = 3  # images, each of another class where there are some


class DataRead:
    """What is known of data after a pass over them; of the images only a few are held.

    `y` (samples,), `outputs` (samples, …) or None without a model, `fingerprints` (samples,),
    `sizes` how many images there are of each shape, `low` and `high` the range of their values,
    `worst` those of the largest losses by their number, `examples` a few, with 3 channels.
    """

    def __init__(self, name, data, batch_size, model=None):
        self.name, self.sizes, self.dtypes = name, Counter(), Counter()
        self.low, self.high = np.inf, -np.inf
        self.worst, self.examples = {}, {}
        self._losses = {}, {}
        images = LabelledImages(data, batch_size, f"`{name}`")
        predict = None if model is None else _predict_of(model)
        parts = [self._read(*batch, predict) for batch in _numbered(images)]
        if not parts:
            raise ValueError(f"`{name}` must hold at least one sample that counts; got none.")
        y, outputs, prints = zip(*parts, strict=True)
        self.y, self.fingerprints = np.concatenate(y), np.concatenate(prints)
        self.outputs = None if predict is None else np.concatenate(outputs)
        self.num_classes = images.num_classes

    def _read(self, first, x, y, predict):
        outputs = None if predict is None else as_array(predict(x))
        if predict is not None:
            _check_outputs(outputs, y)
        images = _as_images(x)
        if images is not None:
            self._look_at(images, y)
            if predict is not None and np.isfinite(outputs).all():
                self._keep_worst(first, images, y, outputs)
        return y, outputs, fingerprints(x)

    def _look_at(self, images, y):
        self.sizes[images.shape[1:]] += len(images)
        self.dtypes[images.dtype.name] += len(images)
        self.low = min(self.low, float(images.min()))
        self.high = max(self.high, float(images.max()))
        shape = next(iter(self.sizes))
        for label in np.unique(y).tolist() if images.shape[1:] == shape else ():
            if len(self.examples) < _EXAMPLES and label not in self.examples:
                image = images[np.argmax(y == label)]
                self.examples[label] = np.repeat(image, 3 // image.shape[-1], -1)

    def _keep_worst(self, first, images, y, outputs):
        """Keep those of the largest losses so far, whether outputs are probabilities or logits.

        Which they are is known at the end, when all have been seen.
        """
        kept = set()
        for losses, p in zip(self._losses, _readings(outputs), strict=True):
            losses |= dict(enumerate(sample_losses(y, p).tolist(), first))
            largest = sorted(losses, key=lambda i: (-losses[i], i))[:WORST]
            for number in losses.keys() - set(largest):
                del losses[number]
            kept |= set(largest)
        new = {i: np.array(images[i - first]) for i in kept if i >= first}
        self.worst = {i: image for i, image in (self.worst | new).items() if i in kept}


class Worst:
    """Looks like a list of all images, of which only those of the largest losses are held."""

    def __init__(self, images, count):
        self._images, self._count = images, count

    def __len__(self):
        return self._count

    def __getitem__(self, number):
        return self._images[number]


def _numbered(images):
    """Batches with the number of their first sample."""
    first = 0
    for x, y, _ in images:
        yield first, x, y
        first += len(y)


def _predict_of(model):
    """The model's answers to one batch."""
    if isinstance(model, EnsembleOnDisk):  # it can't be called
        return partial(model.predict, verbose=0)
    return model.predict_on_batch


def _check_outputs(outputs, y):
    if not hasattr(outputs, "shape") or outputs.ndim != 2 or outputs.shape[0] != len(y):
        raise ValueError(
            "`model` must predict scores of classes, (samples, classes), or (samples, 1); it "
            f"predicts shape {getattr(outputs, 'shape', None)} for {len(y)} images: give a "
            "classifier of one output."
        )
    check_labels("y", y, outputs.shape[1])


def _as_images(x):
    """The images (samples, height, width, channels) that a figure can show, or None."""
    if not hasattr(x, "shape"):
        return None
    x = x[..., None] if x.ndim == 3 else x
    return x if x.ndim == 4 and x.shape[-1] in (1, 3) and 0 not in x.shape else None


def _readings(outputs):
    """Outputs taken for probabilities, and taken for logits."""
    outputs = outputs.astype("float64")
    if outputs.shape[1] > 1:
        return outputs, softmax(outputs)
    logits = np.concatenate([0 * outputs, outputs], 1)
    return np.concatenate([1 - outputs, outputs], 1), softmax(logits)
