"""Heads: what answers on top of the features or predictions of several networks."""

import keras
import numpy as np

from keras_dcnn._checks import check_count
from keras_dcnn._keras.fitting import check_compiled, compile_arguments
from keras_dcnn._reading.batches import as_array
from keras_dcnn.ensemble.judging._predictions import as_labels


def output_layer_for(classes):
    """A softmax over the classes; for one, a sigmoid. In float32, also in mixed precision."""
    activation = "sigmoid" if classes == 1 else "softmax"
    return keras.layers.Dense(classes, activation, dtype="float32", name="head")


def build_head(head, num_features):
    """Build a Keras head for so many features; ValueError where it is one for others."""
    try:
        if not head.built:
            head.build((None, num_features))
        output = head.compute_output_spec(keras.KerasTensor((None, num_features)))
    except ValueError as error:
        raise ValueError(
            f"`head` must take the {num_features} features of the networks together; "
            f"`{head.name}` can't ({str(error).strip().splitlines()[0]}): make it for as many, or "
            "leave it unbuilt."
        ) from error
    return output.shape


def head_alone(head, num_features):
    """The head as a model on features, which shares its weights."""
    return keras.Sequential([keras.Input((num_features,)), head])


def train_head(model, head, features, y, fit_arguments):
    """Train the head of a compiled model on features; returns the History, as `fit`."""
    check_compiled(model, "fit")
    if model.optimizer is None:
        raise ValueError(
            f"a Keras head needs an optimizer to be trained; `{model.name}` is compiled without "
            'one: call `compile`, as in `compile("adam", "sparse_categorical_crossentropy")`.'
        )
    alone = head_alone(head, features.shape[1])
    alone.compile(**compile_arguments(model))
    model.history = alone.fit(features, y, **fit_arguments)
    return model.history


def default_classifier(on_features):
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


def keras_head(head, classes):
    """The Keras layer that is given or, for a number, that has so many hidden units."""
    if isinstance(head, keras.layers.Layer):
        return head
    check_count("head", head)
    hidden = keras.layers.Dense(head, "relu", name="hidden")
    return keras.Sequential([hidden, output_layer_for(classes)], name="head")


def is_estimator(head):
    """Whether a head is of scikit-learn's kind."""
    return hasattr(head, "fit") and hasattr(head, "predict") and hasattr(head, "get_params")


def is_classifier(head):
    from sklearn.base import is_classifier

    return is_classifier(head)


class EstimatorHead:
    """A scikit-learn estimator on rows of members' predictions or features."""

    def __init__(self, learner, outputs, on_features):
        self._learner, self._outputs = learner, outputs
        self._classifies = is_classifier(learner)
        # As scikit-learn's StackingClassifier: of two probabilities one says all.
        one_says_all = self._classifies and outputs == 2 and not on_features
        self._used = slice(1, None, 2) if one_says_all else slice(None)

    def fit(self, rows, y, fit_arguments):
        """Fit a copy of the estimator; the one that is given stays as it is."""
        from sklearn.base import clone

        y = self._labels(y) if self._classifies else as_array(y)
        learner = clone(self._learner)
        if "sample_weight" in fit_arguments and hasattr(learner, "steps"):  # a Pipeline
            last = f"{learner.steps[-1][0]}__sample_weight"
            fit_arguments = {**fit_arguments, last: fit_arguments["sample_weight"]}
            del fit_arguments["sample_weight"]
        self.fitted = learner.fit(self._columns(rows), y, **fit_arguments)

    def _labels(self, y):
        y = as_labels(y, len(y), self._outputs)
        missing = np.setdiff1d(np.arange(max(2, self._outputs)), y)
        if len(missing):
            raise ValueError(
                f"`y` must have samples of each class; class {missing[0]} has none: hold out "
                "samples of each, or give a Keras head, such as a number of hidden units."
            )
        return y

    def answer(self, rows):
        """What it says for rows, (samples, outputs) in float64."""
        if not self._classifies:
            return np.reshape(self.fitted.predict(self._columns(rows)), (len(rows), -1))
        p = self.fitted.predict_proba(self._columns(rows))
        return p[:, 1:] if self._outputs == 1 else p

    def as_keras(self, rows):
        """The Keras layer that answers as the fitted estimator does; None where it is not linear.

        Asked, not looked up in a list: an estimator counts as linear if the layer answers as it
        does on the rows that it was fitted on, and at random points between and around them.
        """
        decision = getattr(self.fitted, "decision_function" if self._classifies else "predict", 0)
        if not decision:
            return None
        size, points = rows.shape[1], _points(rows.astype("float64"))
        bias = np.reshape(decision(self._columns(np.zeros((1, size)))), -1)
        kernel = np.reshape(decision(self._columns(np.eye(size))), (size, -1)) - bias
        if self._outputs == 2 and kernel.shape[1] == 1 and self._classifies:
            # softmax of (0, z) is (1 − σ(z), σ(z))
            kernel, bias = (np.concatenate([0 * one, one], axis=-1) for one in (kernel, bias))
        wanted, scores = self.answer(points), points @ kernel + bias
        for link, formula in (_LINKS if self._classifies else _IDENTITY).items():
            if scores.shape == wanted.shape and np.allclose(formula(scores), wanted, 1e-6, 1e-6):
                return _layer(link, kernel, bias)
        return None

    def _columns(self, rows):
        return rows[:, self._used].astype("float64")


def _points(columns, count=200):
    rng = np.random.default_rng(0)
    one, other = columns[rng.integers(len(columns), size=(2, count))]
    share = rng.random((count, 1))
    around = one + rng.normal(size=one.shape) * (columns.std(0) + 0.1)
    return np.concatenate([columns[:count], share * one + (1 - share) * other, around])


def _sigmoid(z):
    return np.exp(-np.logaddexp(0, -z))


def _softmax(z):
    z = np.exp(z - z.max(-1, keepdims=True))
    return z / z.sum(-1, keepdims=True)


def _one_against_rest(z):
    return _softmax(np.log(np.maximum(_sigmoid(z), 1e-300)))


_LINKS = {
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "log_sigmoid": _one_against_rest,  # softmax(log σ(z)) = σ(zₖ) / Σⱼ σ(zⱼ)
}
_IDENTITY = {"linear": lambda z: z}


def _layer(link, kernel, bias):
    dense = keras.layers.Dense(len(bias), link, dtype="float32", name="head")
    dense.build((None, len(kernel)))
    dense.set_weights([kernel, bias])
    if link != "log_sigmoid":
        return dense
    layer = keras.Sequential([dense, keras.layers.Softmax(dtype="float32")], name="head")
    layer.build((None, len(kernel)))
    return layer
