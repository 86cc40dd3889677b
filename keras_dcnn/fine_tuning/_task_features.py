"""The features of a task's images, read when they are asked for, and the heads on them."""

from keras_dcnn._keras.compiling import jit_compile
from keras_dcnn.fine_tuning._classifier import head_of
from keras_dcnn.fine_tuning._features import extract
from keras_dcnn.fine_tuning._heads import fit_head
from keras_dcnn.fine_tuning._probing import probe_of


class TaskFeatures:
    """Features by a network; those of all depths have those of the last."""

    def __init__(self, trunk, task, directory, batch_size, verbose, bars_alone=False):
        self.trunk, self.task = trunk, task
        self._options = {"batch_size": batch_size, "verbose": verbose, "bar_alone": bars_alone}
        self._directory, self._known = directory, {}

    def read(self, layers, part="training"):
        """The `Features` of "last" or "all" layers.

        Of the data to learn from, with what was held out of them, or of those for "validation".
        """
        known, found = self._known.get(part, (None, None))
        if known not in (layers, "all"):
            data = self.task.whole if part == "training" else self.task.validation.data
            where = None if self._directory is None else self._directory / f"{part}_{layers}"
            found = extract(self.trunk, data, layers, directory=where, **self._options)
            self._known[part] = layers, found
        if layers == "last":
            return found._replace(names=found.names[-1:], rows=found.rows[-1:])
        return found

    def probe(self, layers):
        """The `Probe` of all data to learn from, with what was held out of them."""
        validation = self.read(layers, "validation") if self.task.trained_on is None else None
        features, classes = self.read(layers), self.task.num_classes
        found = probe_of(self.trunk, features, validation, layers, "logistic", classes)
        loss = self.task.loss
        found.model.compile(loss=loss, metrics=["accuracy"], jit_compile=jit_compile())
        return found

    def head(self, record):
        """The layer of classes on the last features, fitted to the samples to learn from."""
        features, learnt_from = self.read("last"), self.task.trained_on
        columns = features.rows[0], features.y, features.sample_weight
        if learnt_from is not None:
            columns = [None if one is None else one[learnt_from] for one in columns]
        rows, y, weights = columns
        found = fit_head(rows, y, num_classes=self.task.num_classes, sample_weight=weights)
        record.add(
            f"a linear classifier on the last features gets {100 * found.accuracy:.1f} % of the "
            "samples right that it is not fitted to."
        )
        return head_of(found.kernel, found.bias)
