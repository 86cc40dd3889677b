"""Estimators of scikit-learn as heads, and the linear ones as Keras layers."""

import keras
import numpy as np

from keras_dcnn._reading.batches import as_array
from keras_dcnn.ensemble.combining._models import shapes_of
from keras_dcnn.ensemble.judging._judged import judged
from keras_dcnn.ensemble.judging._task import Task, task_of_labels


def estimator_head(head, outputs, layer):
    """The head of an estimator, or of the default for None; None for what is no estimator."""
    on_features = layer is not None
    head = _default(on_features) if head is None else head
    methods = ("fit", "predict", "get_params")
    if isinstance(head, type) or not all(hasattr(head, name) for name in methods):
        return None
    return EstimatorHead(head, outputs, on_features)


def _default(on_features):
    """LogisticRegression, as scikit-learn's own StackingClassifier has it; scaled for features."""
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise ImportError(
            "a head of scikit-learn's needs scikit-learn: "
            'pip install "keras_dcnn[ensemble]"; or give a Keras layer as `head`.'
        ) from error
    if on_features:
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return LogisticRegression()


class EstimatorHead:
    """A scikit-learn estimator on rows of members' predictions or features.

    For several labels it is a classifier for each, `fitted` a tuple of them.
    """

    def __init__(self, learner, outputs, on_features):
        from sklearn.base import is_classifier

        self.learner, self.fitted, self._outputs = learner, None, outputs
        self._classifies, self._on_features = is_classifier(learner), on_features
        if self._classifies and not hasattr(learner, "predict_proba"):
            raise ValueError(
                f"`head` must have `predict_proba`, for probabilities; {learner!r} has not: use "
                "LogisticRegression, or wrap it in CalibratedClassifierCV."
            )

    def fit(self, rows, y, fit_arguments):
        """Fit a copy of the estimator; the one that is given stays as it is."""
        from sklearn.base import clone

        y, arguments = as_array(y), dict(fit_arguments)
        weights = arguments.pop("sample_weight", None)
        if weights is not None and not (as_array(weights) == 1).all():
            last = getattr(self.learner, "steps", [("", None)])[-1][0]  # of a Pipeline
            arguments[f"{last}__sample_weight".removeprefix("__")] = as_array(weights)
        labels = self._labels(rows, y) if self._classifies else y
        columns = labels.T if self._classifies and labels.ndim == 2 else (labels,)
        rows = rows.astype("float64")
        fitted = tuple(clone(self.learner).fit(rows, column, **arguments) for column in columns)
        self.fitted = fitted if self._classifies and labels.ndim == 2 else fitted[0]

    def _labels(self, rows, y):
        """Whole numbers (samples,), or for several labels (samples, labels)."""
        shape = len(rows), self._outputs
        if self._on_features:  # labels alone say what the task is
            one_class = task_of_labels(y, shape) is not Task.SEVERAL_LABELS
            predictions = np.full((1, *shape), 1 / self._outputs if one_class else 0.0)
        else:
            predictions = rows.reshape(len(rows), -1, self._outputs).swapaxes(0, 1)
        found = judged("predictions", predictions, y, members=True)
        _check_occur(found)
        return found.y.reshape(found.shape)

    def answer(self, rows):
        """What it says for rows, (samples, outputs) in float64."""
        rows = rows.astype("float64")
        if not self._classifies:
            return np.reshape(self.fitted.predict(rows), (len(rows), -1))
        if isinstance(self.fitted, tuple):
            return np.stack([one.predict_proba(rows)[:, 1] for one in self.fitted], axis=1)
        p = self.fitted.predict_proba(rows)
        return p[:, 1:] if self._outputs == 1 else p

    def as_keras(self, rows):
        """The Dense layer of its coefficients; None where that answers otherwise for these rows."""
        several = isinstance(self.fitted, tuple)
        parts = [
            _coefficients(one, rows.shape[1]) for one in (self.fitted if several else [self.fitted])
        ]
        if any(kernel is None for kernel, _ in parts):
            return None
        kernel, bias = (np.concatenate(each, axis=-1) for each in zip(*parts, strict=True))
        link, columns = "linear", kernel.shape[1]
        if self._classifies:
            link = "sigmoid" if several or self._outputs == columns == 1 else "softmax"
        if link == "softmax" and columns == 1:  # softmax of (0, z) is (1 − σ(z), σ(z))
            kernel, bias = np.insert(kernel, 0, 0, 1), np.insert(bias, 0, 0)
        layer = keras.layers.Dense(len(bias), link, dtype="float32", name="head")
        layer.build((None, rows.shape[1]))
        layer.set_weights([kernel, bias])
        says, answer = keras.ops.convert_to_numpy(layer(rows)), self.answer(rows)
        off = np.abs(says - answer).max() if says.shape == answer.shape else np.inf
        return layer if off <= 1e-3 * np.abs(answer).max() else None


def set_estimator(stacked, learner, layer):
    """Have a StackedEnsemble answer with an estimator, and with the layer of its coefficients."""
    if isinstance(stacked.head, keras.layers.Layer):
        _replace_head(stacked.head, layer)
    elif layer is not None:
        stacked.head = layer
        stacked.build(shapes_of(stacked.members[0])[0])
    stacked.learner, stacked.estimator = learner, learner.fitted


def _replace_head(head, layer):
    """Set the Dense layer of an estimator to that of its next fit, of the same size."""
    if layer is None or layer.units != head.units:
        now = f"has {layer.units}" if layer else "is not linear"
        raise ValueError(
            f"the head became a layer of {head.units} outputs when it was fitted first, and {now} "
            "now: make a new StackedEnsemble for it."
        )
    head.activation = layer.activation
    head.set_weights(layer.get_weights())


def unpickled(saved, linear, learner, compile_config):
    """A StackedEnsemble with an estimator, and all else of one that Keras can save.

    `linear` says whether the head of that one is the layer of the estimator.
    """
    stacked = type(saved)(saved.members, learner.learner, saved.layer, name=saved.name)
    set_estimator(stacked, learner, saved.head if linear else None)
    if compile_config:
        stacked.compile_from_config(compile_config)
    return stacked


def _check_occur(found):
    """Raise ValueError unless each class has samples, and of several labels each both ways."""
    several = found.task is Task.SEVERAL_LABELS
    count = found.num_classes * (2 if several else 1)
    missing = np.setdiff1d(np.arange(count), found.kinds())
    if not len(missing):
        return
    what, which = "of each class", f"class {missing[0]} has none"
    if several:
        what = "with and without each label"
        which = f"label {missing[0] // 2} has none {'with' if missing[0] % 2 else 'without'} it"
    raise ValueError(
        f"`y` must have samples {what}; {which}: hold out samples of each, or give a Keras head, "
        "such as a number of hidden units."
    )


def _coefficients(fitted, num_columns):
    """Kernel and bias of an estimator, with the scalers in front of it; Nones if it has none."""
    *scalers, last = [step for _, step in getattr(fitted, "steps", [(None, fitted)])]
    affine = all(type(one).__name__.endswith("Scaler") for one in scalers)
    if not hasattr(last, "coef_") or not affine:
        return None, None
    kernel = np.atleast_2d(last.coef_).T
    bias = np.broadcast_to(last.intercept_, kernel.shape[1])
    if scalers:
        shift, *units = fitted[:-1].transform(np.eye(num_columns + 1, num_columns, -1))
        kernel, bias = (units - shift) @ kernel, bias + shift @ kernel
    return kernel, bias
