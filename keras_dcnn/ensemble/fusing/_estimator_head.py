"""Estimators of scikit-learn as heads, and the linear ones as Keras layers."""

import keras
import numpy as np

from keras_dcnn._reading.batches import as_array
from keras_dcnn.ensemble.judging._predictions import as_labels


def estimator_head(head, outputs, on_features):
    """The head of an estimator, or of the default for None; None for what is no estimator."""
    head = _default(on_features) if head is None else head
    if not all(hasattr(head, name) for name in ("fit", "predict", "get_params")):
        return None
    return EstimatorHead(head, outputs)


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
    """A scikit-learn estimator on rows of members' predictions or features."""

    def __init__(self, learner, outputs):
        from sklearn.base import is_classifier

        self.learner, self.fitted, self._outputs = learner, None, outputs
        self._classifies = is_classifier(learner)
        if self._classifies and not hasattr(learner, "predict_proba"):
            raise ValueError(
                f"`head` must have `predict_proba`, for probabilities; {learner!r} has not: use "
                "LogisticRegression, or wrap it in CalibratedClassifierCV."
            )

    def fit(self, rows, y, fit_arguments):
        """Fit a copy of the estimator; the one that is given stays as it is."""
        from sklearn.base import clone

        y = self._labels(y, len(rows)) if self._classifies else as_array(y)
        learner = clone(self.learner)
        if "sample_weight" in fit_arguments and hasattr(learner, "steps"):  # a Pipeline
            weights = fit_arguments.pop("sample_weight")
            fit_arguments[f"{learner.steps[-1][0]}__sample_weight"] = weights
        self.fitted = learner.fit(rows.astype("float64"), y, **fit_arguments)

    def _labels(self, y, samples):
        y = as_labels(y, samples, self._outputs)
        missing = np.setdiff1d(np.arange(max(2, self._outputs)), y)
        if len(missing):
            raise ValueError(
                f"`y` must have samples of each class; class {missing[0]} has none: hold out "
                "samples of each, or give a Keras head, such as a number of hidden units."
            )
        return y

    def answer(self, rows):
        """What it says for rows, (samples, outputs) in float64."""
        rows = rows.astype("float64")
        if not self._classifies:
            return np.reshape(self.fitted.predict(rows), (len(rows), -1))
        p = self.fitted.predict_proba(rows)
        return p[:, 1:] if self._outputs == 1 else p

    def as_keras(self, rows):
        """The Dense layer of its coefficients; None where that answers otherwise for these rows."""
        kernel, bias = _coefficients(self.fitted, rows.shape[1])
        if kernel is None:
            return None
        link, columns = "linear", kernel.shape[1]
        if self._classifies:
            link = "sigmoid" if self._outputs == columns == 1 else "softmax"
        if link == "softmax" and columns == 1:  # softmax of (0, z) is (1 − σ(z), σ(z))
            kernel, bias = np.insert(kernel, 0, 0, 1), np.insert(bias, 0, 0)
        layer = keras.layers.Dense(len(bias), link, dtype="float32", name="head")
        layer.build((None, rows.shape[1]))
        layer.set_weights([kernel, bias])
        says, answer = keras.ops.convert_to_numpy(layer(rows)), self.answer(rows)
        off = np.abs(says - answer).max() if says.shape == answer.shape else np.inf
        return layer if off <= 1e-3 * np.abs(answer).max() else None


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
