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
    """A scikit-learn estimator on rows of members' predictions or features."""

    def __init__(self, learner, outputs, on_features):
        from sklearn.base import is_classifier

        self.learner, self._outputs = learner, outputs
        self._classifies = is_classifier(learner)
        if self._classifies and not hasattr(learner, "predict_proba"):
            raise ValueError(
                f"`head` must have `predict_proba`, for probabilities; {learner!r} has not: use "
                "LogisticRegression, or wrap it in CalibratedClassifierCV."
            )
        # As scikit-learn's StackingClassifier: of two probabilities one says all.
        one_says_all = self._classifies and outputs == 2 and not on_features
        self._used = slice(1, None, 2) if one_says_all else slice(None)
        self.fitted = None

    def fit(self, rows, y, fit_arguments):
        """Fit a copy of the estimator; the one that is given stays as it is."""
        from sklearn.base import clone

        y = self._labels(y, len(rows)) if self._classifies else as_array(y)
        learner = clone(self.learner)
        if "sample_weight" in fit_arguments and hasattr(learner, "steps"):  # a Pipeline
            weights = fit_arguments.pop("sample_weight")
            fit_arguments[f"{learner.steps[-1][0]}__sample_weight"] = weights
        self.fitted = learner.fit(self._columns(rows), y, **fit_arguments)

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
        if not self._classifies:
            return np.reshape(self.fitted.predict(self._columns(rows)), (len(rows), -1))
        p = self.fitted.predict_proba(self._columns(rows))
        return p[:, 1:] if self._outputs == 1 else p

    def as_keras(self, num_columns):
        """The Keras layer that answers so many columns as the fitted one does, if it is linear."""
        link, coefficients, bias = _linear(self.fitted)
        if link is None:
            return None
        kernel = np.zeros((num_columns, len(bias)))
        kernel[self._used] = coefficients
        if self._classifies and len(bias) == 1:
            link = "sigmoid"
            if self._outputs == 2:  # softmax of (0, z) is (1 − σ(z), σ(z))
                link, kernel, bias = "softmax", np.insert(kernel, 0, 0, 1), np.insert(bias, 0, 0)
        layer = keras.layers.Dense(len(bias), link, dtype="float32", name="head")
        layer.build((None, num_columns))
        layer.set_weights([kernel, bias])
        return layer

    def _columns(self, rows):
        return rows[:, self._used].astype("float64")


_REGRESSORS = (
    *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV"),
    *("HuberRegressor", "SGDRegressor"),
)


def _linear(fitted):
    """Activation, kernel and bias of a linear estimator, with the scalers in front; else Nones."""
    *scalers, last = [step for _, step in getattr(fitted, "steps", [(None, fitted)])]
    link, scales = _link(last), [_scale(one) for one in scalers]
    if link is None or None in scales:
        return None, None, None
    kernel = np.atleast_2d(last.coef_).T
    bias = np.broadcast_to(last.intercept_, kernel.shape[1])
    for factor, shift in scales[::-1]:
        kernel, bias = np.reshape(factor, (-1, 1)) * kernel, bias + shift @ kernel
    return link, kernel, bias


def _link(estimator):
    """The activation on `coef_` and `intercept_` by which it answers; None where there is none.

    By the very class, as a subclass may answer otherwise.
    """
    from sklearn import linear_model

    kind = type(estimator)
    if kind in [getattr(linear_model, name) for name in _REGRESSORS]:
        return "linear"
    if kind not in (linear_model.LogisticRegression, linear_model.LogisticRegressionCV):
        return None
    one_against_rest = estimator.solver == "liblinear" and len(estimator.classes_) > 2
    plain = getattr(estimator, "multi_class", "auto") in ("auto", "deprecated")  # gone in 1.8
    return "softmax" if plain and not one_against_rest else None


def _scale(scaler):
    """Factor and shift of each column; None of what is no scaler."""
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    if type(scaler) is StandardScaler:
        factor = 1 / scaler.scale_ if scaler.with_std else np.ones(scaler.n_features_in_)
        return factor, -scaler.mean_ * factor if scaler.with_mean else 0 * factor
    if type(scaler) is MinMaxScaler and not scaler.clip:
        return scaler.scale_, scaler.min_
    return None
