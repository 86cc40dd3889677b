"""StackedEnsemble: a head that learnt which member to believe."""

import os
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import keras
from numpy.typing import ArrayLike

from keras_dcnn._checks import check_keywords
from keras_dcnn.ensemble.combining._combined_model import CombinedModel
from keras_dcnn.ensemble.combining._members import MembersInMemory
from keras_dcnn.ensemble.combining._models import config_without_optimizer, shapes_of
from keras_dcnn.ensemble.combining.ensemble import check_members
from keras_dcnn.ensemble.fusing import _heads
from keras_dcnn.ensemble.fusing._estimator_head import estimator_head, set_estimator, unpickled
from keras_dcnn.ensemble.fusing._features import Features, num_features
from keras_dcnn.ensemble.fusing._held_out import counted_rows, held_out, held_out_batches

_WAY_OUT = "call `fit_predictions` with out-of-fold predictions, or `fit` with held-out images"
_NOT_FITTED = f"the head is not fitted yet: {_WAY_OUT}."


@keras.saving.register_keras_serializable(package="keras_dcnn")
class StackedEnsemble(CombinedModel):
    """Several models, and a head that learnt from their predictions which of them to believe.

    Where `Ensemble` gives each member one weight, a head learns for each class whom to trust. It
    must learn that on samples that no member was trained on: on others it trusts the member that
    knows most by heart. So there are two ways to fit it:

    - `StackedEnsemble(search.bags()).fit_predictions(search.oof_predictions, y)`, on the
      out-of-fold predictions of a `CrossValidationEnsemble`, with all samples;
    - `fit(x, y, trained_on=x_train)` on held-out images, on which it runs the members once; it
      refuses those that the members were trained on.

    `y = head([p₁(x), …, p_M(x)])`. Where a sample may have several labels, of members that end in
    sigmoids and `y` in rows of 0 and 1, a classifier is fitted for each label. `estimator` is then
    a tuple of them. With `layer` it is the stacked network of the tutorial (S-NN):
    the head sees the members' features in place of their predictions. `EarlyFusion` computes the
    same; but there the head is trained like any network, on any data, also end to end.

    A linear head of scikit-learn's (LogisticRegression, LinearRegression, Ridge, Lasso and the
    like), also behind a StandardScaler or another scaler, becomes a Keras layer once it is fitted,
    so that the ensemble saves, loads and exports like any model. Others, such as forests and
    searches, predict in NumPy, and can be pickled but not saved, since their only format is
    executable. `estimator` is the fitted one.

    A StackedEnsemble of compiled members is compiled with their loss and metrics, for `evaluate`;
    to train a Keras head, call `compile` with an optimizer.

    Args:
        members: Built Keras models of one output, at least one, with the same input and output
            shapes.
        head: A scikit-learn classifier with `predict_proba`, or a regressor; None for
            `LogisticRegression()`, for features behind a `StandardScaler()`; a Keras layer or
            model; or a number of hidden units, for a Keras head with one hidden layer.
        layer: None for the predictions, or where the members' features are: the name of a layer, or
            `"penultimate"`, as in `EarlyFusion`.
        **kwargs: Keras's own model arguments, such as `name`.

    Input shape:
        That of the members.

    Output shape:
        That of the members, `(batch, classes)`, or `(batch, 1)` for two classes; of a Keras head,
        its own.

    Raises:
        ValueError: for members that differ in shapes, are given twice or have several outputs; a
            classifier without `predict_proba`; samples in `trained_on`; NaN; labels that don't fit
            or lack a class; `call` and `save` of what is not fitted or not linear.
        ImportError: for `head=None` without scikit-learn; `pip install "keras_dcnn[ensemble]"`.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    def build():
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])

    x, y = np.random.default_rng(0).random((60, 4)), np.arange(60) % 3
    stacked = keras_dcnn.ensemble.StackedEnsemble([build(), build()])
    stacked.fit(x[:30], y[:30], trained_on=x[30:])  # held out from what members were trained on
    print(stacked.predict(x[:2], verbose=0))
    stacked.save("stacked.keras")
    ```

    Reference:
        Wolpert: Stacked Generalization (1992). https://doi.org/10.1016/S0893-6080(05)80023-1
    """

    def __init__(
        self,
        members: Sequence[keras.Model],
        head: Any = None,
        layer: str | None = None,
        **kwargs: Any,
    ) -> None:
        check_keywords(self, kwargs)
        members = check_members(members, None)
        features = Features(members, layer)
        classes, shape = num_features(members[0]), shapes_of(members[0])[1]
        if layer is None and len(shape) != 2:
            raise ValueError(
                "`members` must predict (batch, classes) to be stacked; member 0 "
                f"`{members[0].name}` predicts {shape}: use Ensemble."
            )
        learner = estimator_head(head, classes, layer)
        hidden = _heads.hidden_head(members[0], classes)
        head = learner.learner if learner else _heads.keras_head(head, features.size, hidden)
        super().__init__(**kwargs)
        self.members, self.head, self.layer, self.estimator = members, head, layer, None
        self.combine, self.member_weights = "probability", None
        self._pool, self._features, self.learner = MembersInMemory(members), features, learner
        if learner is None:
            self.build(shapes_of(members[0])[0])
        if all(member.compiled for member in members):
            self.compile_for_evaluation(members[0].get_compile_config())

    def build(self, input_shape: Any) -> None:
        self._check_keras_head("call")
        super().build(input_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.head(self._features(inputs), training=training)

    def fit_predictions(self, predictions: ArrayLike, y: Any, **fit_arguments: Any) -> Self:
        """Fit the head on what the members predicted for samples that they were not trained on.

        Args:
            predictions: (members, samples, classes), such as the `oof_predictions` of a
                `CrossValidationEnsemble`, of which `bags()` are the members.
            y: Labels, whole numbers, one-hot rows, or for several labels rows of 0 and 1; for a
                regressor the values; for a Keras head what its loss takes.
            **fit_arguments: What `fit` of the head takes more, such as `epochs`; `validation_data`
                of the same kind. Samples of the `sample_weight` 0 are left out, and may be NaN.

        Returns:
            This ensemble; `history` has what a Keras head recorded.
        """
        if self.layer is not None:
            raise ValueError(
                "`fit_predictions` needs a head on predictions; this one takes features of "
                f"{self.layer!r}: call `fit` with held-out images."
            )
        read = partial(counted_rows, self.members)
        weights = fit_arguments.pop("sample_weight", None)
        self._fit_rows(*read(predictions, y, weights), _heads.with_validation(fit_arguments, read))
        return self

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        *,
        trained_on: Any = None,
        **fit_arguments: Any,
    ) -> Self:
        """Run the members on held-out images, once, and fit the head on what they say.

        Args:
            x: As `keras.Model.fit` takes it: arrays, or tf.data, PyDataset, DataLoader with labels,
                which must end.
            y: Labels, as for `fit_predictions`; None where they are in `x`.
            batch_size: Samples at a time; None for 32.
            trained_on: What the members were trained on, so that `x` is checked to hold none of it:
                the images, or for members that `train_from_seeds` or `CrossValidationEnsemble`
                left in a directory `EnsembleOnDisk(directory).trained_on`. None warns.
            **fit_arguments: As for `fit_predictions`.

        Returns:
            This ensemble; `history` has what a Keras head recorded.
        """
        if self.learner is None:
            _heads.check_trainable(self)
        check, weights = held_out(trained_on, _WAY_OUT), fit_arguments.pop("sample_weight", None)

        def read(x, y=None, weights=None):
            return self._features.read(held_out_batches(x, y, batch_size, check, weights))

        self._fit_rows(*read(x, y, weights), _heads.with_validation(fit_arguments, read))
        return self

    def save(self, filepath: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        self._check_keras_head("save")  # Keras would empty the file before it asks for the config
        super().save(_heads.as_keras_file(self, filepath), *args, **kwargs)

    def export(self, *args: Any, **kwargs: Any) -> None:
        self._check_keras_head("export")
        super().export(*args, **kwargs)

    def __reduce__(self) -> Any:
        if self.learner is None:
            return super().__reduce__()
        linear = isinstance(self.head, keras.layers.Layer)
        head = self.head if linear else 1  # of hidden units
        saved = StackedEnsemble(self.members, head, self.layer, name=self.name)
        return unpickled, (saved, linear, self.learner, self.get_compile_config())

    def compile_from_config(self, config: dict[str, Any]) -> None:
        if config.get("optimizer") is None:
            super().compile_from_config(config)
        else:  # Keras would give the optimizer all variables, of which it trains the head's
            self.compile(**keras.saving.deserialize_keras_object(config))
            self.optimizer.build(self.head.trainable_variables)

    def get_config(self) -> dict[str, Any]:
        self._check_keras_head("save")
        return {
            **super().get_config(),
            "members": [config_without_optimizer(member) for member in self.members],
            "head": keras.saving.serialize_keras_object(self.head),
            "layer": self.layer,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**keras.saving.deserialize_keras_object(config))

    def _fit_rows(self, rows, y, weights, fit_arguments):
        given = fit_arguments | ({} if weights is None else {"sample_weight": weights})
        if self.learner is None:
            _heads.train_head(self, rows, y, given)
            return
        self.learner.fit(rows, y, given)
        set_estimator(self, self.learner, self.learner.as_keras(rows))

    def _combined(self, batches):
        """Each batch, what the head says, and the losses of regularizers."""
        if self.learner is not None and self.estimator is None:
            raise ValueError(_NOT_FITTED)
        for batch, rows, losses in self._features.run(batches):
            outputs, more = _heads.answer_of(self.head, self.learner, rows)
            yield batch, outputs, [*losses, *more]

    def _check_keras_head(self, method):
        if not isinstance(self.head, keras.layers.Layer):
            if self.estimator is None:
                raise ValueError(_NOT_FITTED)
            raise ValueError(
                f"`{method}` needs a head that is a Keras layer, or linear; that of "
                f"{type(self.head).__name__} predicts in NumPy, by `predict` and `evaluate` only: "
                "use LogisticRegression, or a number of hidden units as `head`."
            )
