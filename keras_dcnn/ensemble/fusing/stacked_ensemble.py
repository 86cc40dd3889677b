"""StackedEnsemble: a head that learnt which member to believe."""

import keras
import numpy as np

from keras_dcnn._checks import check_keywords
from keras_dcnn._keras.fitting import batches_as_fit_takes_them
from keras_dcnn._keras.graph import replace_layer
from keras_dcnn._reading.fingerprints import fingerprints, remember_training
from keras_dcnn._reading.rows import are_arrays
from keras_dcnn.ensemble.combining._combined_model import CombinedModel
from keras_dcnn.ensemble.combining._members import MembersInMemory
from keras_dcnn.ensemble.combining._models import config_without_optimizer, shapes_of
from keras_dcnn.ensemble.combining.ensemble import check_members
from keras_dcnn.ensemble.fusing import _heads
from keras_dcnn.ensemble.fusing._features import cut, joined, num_features, read_features, rows_of
from keras_dcnn.ensemble.fusing._stacking_guard import guard
from keras_dcnn.ensemble.judging._predictions import as_predictions


@keras.saving.register_keras_serializable(package="keras_dcnn")
class StackedEnsemble(CombinedModel):
    """Several models, and a head that learnt from their predictions which of them to believe.

    Where `Ensemble` gives each member one weight, a head learns for each class whom to trust, and
    which mistakes to mend. It must learn that on samples that no member was trained on: there all
    members look right, it trusts the one that knows most by heart, and scores measured on them mean
    nothing. So there are two ways to fit it:

    - `fit_predictions(predictions, y)` on out-of-fold predictions, with all samples:
      `StackedEnsemble(search.bags()).fit_predictions(search.oof_predictions, y)` of a
      `CrossValidationEnsemble`;
    - `fit(x, y)` on held-out images, on which it runs the members once. It refuses samples that a
      member was trained on, where that was noted, and warns where nobody did.

    `y = head([p₁(x), …, p_M(x)])`. With `layer` it is the stacked network of the tutorial (S-NN):
    the head sees the members' features in place of their predictions. `EarlyFusion` computes the
    same; but there the head is trained like any network, on any data, also end to end; here the
    members stay as they are, the head may be scikit-learn's, and the data are guarded.

    A linear head of scikit-learn's, such as LogisticRegression, SGDClassifier with "log_loss",
    Ridge, also behind a StandardScaler, becomes a Keras layer once it is fitted, so that the
    ensemble saves, loads and exports like any model. Others, such as forests, predict in NumPy, and
    can't be saved, since their only format is executable. `estimator` is the fitted one.

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
        ValueError: for no members, or some that differ in shapes, are given twice or have several
            outputs; a classifier without `predict_proba`; samples that a member was trained on;
            NaN; labels that don't fit, or that lack a class; `call` and `save` of what is not
            fitted, or not a Keras layer.
        TypeError: for a member that is not a Keras model, and for an unknown keyword.
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

    def __init__(self, members, head=None, layer=None, **kwargs):
        check_keywords(self, kwargs)
        members = check_members(members, None)
        parts = [cut(member, layer) for member in members]
        sizes = [num_features(part) for part in parts]
        classes = num_features(members[0])
        if layer is None and len(shapes_of(members[0])[1]) != 2:
            raise ValueError(
                "`members` must predict (batch, classes) to be stacked; member 0 "
                f"`{members[0].name}` predicts {shapes_of(members[0])[1]}: use Ensemble."
            )
        head = _heads.default_classifier(layer is not None) if head is None else head
        learner = head if _heads.is_estimator(head) else None
        if learner is None:
            head = _heads.keras_head(head, classes)
            _heads.build_head(head, sum(sizes))
        elif _heads.is_classifier(head) and not hasattr(head, "predict_proba"):
            raise ValueError(
                f"`head` must have `predict_proba`, for probabilities; {head!r} has not: use "
                "LogisticRegression, or wrap it in CalibratedClassifierCV."
            )
        super().__init__(**kwargs)
        self.members = members
        self.head = head
        self.layer = layer
        self.combine, self.member_weights = "probability", None
        self.estimator = None
        self._classes, self._sizes = classes, sizes
        self._pool, self._sources = MembersInMemory(members), MembersInMemory(parts)
        self._head_pool = None
        vars(self).update(_learner=learner, _parts=parts)  # not tracked by Keras
        if learner is None:
            self.build(shapes_of(members[0])[0])
        if all(member.compiled for member in members):
            self.compile_for_evaluation(members[0].get_compile_config())

    def call(self, inputs, training=False):
        self._check_keras_head("call")
        rows = joined([part(inputs, training=False) for part in self._parts])
        return self.head(rows, training=training)

    def fit_predictions(self, predictions, y, **fit_arguments):
        """Fit the head on what the members predicted for samples that they were not trained on.

        Args:
            predictions: (members, samples, classes), such as the `oof_predictions` of a
                `CrossValidationEnsemble`, of which `bags()` are the members.
            y: Labels, whole numbers or one-hot; for a regressor the values; for a Keras head what
                its loss takes.
            **fit_arguments: What `fit` of the head takes more, such as `epochs` of Keras's.

        Returns:
            This ensemble; `history` has what a Keras head recorded.

        Raises:
            ValueError: for predictions or labels that don't fit, NaN, a class without a sample
                where the head is scikit-learn's, and with `layer`.
        """
        if self.layer is not None:
            raise ValueError(
                f"`fit_predictions` needs a head on predictions; this one takes features of "
                f"{self.layer!r}: call `fit` with held-out images."
            )
        predictions = as_predictions("predictions", predictions)
        wanted = (len(self.members), self._classes)
        if predictions.shape[::2] != wanted:
            raise ValueError(
                f"`predictions` must be (members, samples, classes) of {wanted[0]} members and "
                f"{wanted[1]} classes; got shape {predictions.shape}."
            )
        self._fit_rows(np.concatenate(predictions, axis=1), y, fit_arguments)
        return self

    def fit(self, x, y=None, batch_size=None, *, trained_on=None, **fit_arguments):
        """Run the members on held-out images, once, and fit the head on what they say.

        Args:
            x: As `keras.Model.fit` takes it: arrays, or tf.data, PyDataset, DataLoader with labels,
                which must end.
            y: Labels, as for `fit_predictions`; None where they are in `x`.
            batch_size: Samples at a time; None for 32.
            trained_on: The images that the members were trained on, to check that `x` holds none of
                them, or their fingerprints; for members of `train_from_seeds` and
                `CrossValidationEnsemble` it is known.
            **fit_arguments: What `fit` of the head takes more, such as `epochs` of Keras's.

        Returns:
            This ensemble; `history` has what a Keras head recorded.

        Raises:
            ValueError: for samples that a member was trained on; it says how many; and as
                `fit_predictions`.
        """
        check = guard(self.members, trained_on)
        if are_arrays(x):  # all of them, before the members run
            check(x)
        prints = []

        def checked(batches):
            for batch in batches:
                check(batch[0])
                prints.append(fingerprints(batch[0]))
                yield batch

        batches = checked(batches_as_fit_takes_them(x, y, batch_size=batch_size)[1])
        rows, y, weights = read_features(self._sources, self._sizes, batches)
        if weights is not None:
            fit_arguments = {"sample_weight": weights, **fit_arguments}
        self._fit_rows(rows, y, fit_arguments)
        remember_training(self, np.concatenate(prints))
        return self

    def save(self, filepath, *args, **kwargs):
        """As `keras.Model.save`; raises ValueError where the head is not a Keras layer."""
        self._check_keras_head("save")
        super().save(filepath, *args, **kwargs)

    def save_weights(self, filepath, *args, **kwargs):
        """As `keras.Model.save_weights`; raises ValueError as `save`."""
        self._check_keras_head("save_weights")
        super().save_weights(filepath, *args, **kwargs)

    def export(self, filepath, *args, **kwargs):
        """As `keras.Model.export`; raises ValueError as `save`."""
        self._check_keras_head("export")
        return super().export(filepath, *args, **kwargs)

    def compile_from_config(self, config):
        if config.get("optimizer") is None:
            super().compile_from_config(config)
        else:  # Keras would give the optimizer all variables, of which it trains the head's
            self.compile(**keras.saving.deserialize_keras_object(config))
            self.optimizer.build(self.head.trainable_variables)

    def get_config(self):
        self._check_keras_head("save")
        return {
            **super().get_config(),
            "members": [config_without_optimizer(member) for member in self.members],
            "head": keras.saving.serialize_keras_object(self.head),
            "layer": self.layer,
        }

    @classmethod
    def from_config(cls, config):
        members = [keras.saving.deserialize_keras_object(one) for one in config["members"]]
        head = keras.saving.deserialize_keras_object(config["head"])
        return cls(**{**config, "members": members, "head": head})

    def _fit_rows(self, rows, y, fit_arguments):
        if y is None:
            raise ValueError("`y` must be given, for data without labels.")
        if len(y) != len(rows):
            raise ValueError(f"`y` must have one label per sample, {len(rows)}; got {len(y)}.")
        if "validation_data" in fit_arguments:
            raise ValueError("`validation_data` isn't taken here: use `validation_split`.")
        if self._learner is None:
            _heads.train_head(self, self.head, rows, y, fit_arguments)
            return
        estimator = _heads.EstimatorHead(self._learner, self._classes, self.layer is not None)
        estimator.fit(rows, y, fit_arguments)
        layer = estimator.as_keras(rows)
        self.estimator = estimator.fitted
        self._answer = estimator.answer
        replace_layer(self, "head", self._learner if layer is None else layer)
        self._head_pool = None
        self.train_function = self.test_function = self.predict_function = None
        if layer is not None and not self.built:
            self.build(shapes_of(self.members[0])[0])

    def _combined(self, batches):
        """Each batch, what the head says, and the losses of regularizers."""
        if isinstance(self.head, keras.layers.Layer):
            if self._head_pool is None:  # kept, so that it is compiled once
                alone = _heads.head_alone(self.head, sum(self._sizes))
                self._head_pool = MembersInMemory([alone])
            rows = self._rows(batches)
            for (_, batch, losses), [(outputs, more)] in self._head_pool.run([0], rows):
                yield batch, outputs, [*losses, *more]
            return
        if self.estimator is None:
            raise ValueError(_NOT_FITTED)
        for rows, batch, losses in self._rows(batches):
            yield batch, keras.ops.convert_to_tensor(self._answer(rows), "float32"), losses

    def _rows(self, batches):
        for batch, results in self._sources.run(range(len(self.members)), batches):
            losses = [loss for _, losses in results for loss in losses]
            yield rows_of(self._sources, self._sizes, results), batch, losses

    def _check_keras_head(self, method):
        if isinstance(self.head, keras.layers.Layer):
            return
        if self.estimator is None:
            raise ValueError(_NOT_FITTED)
        raise ValueError(
            f"`{method}` needs a head that is a Keras layer, as linear heads of scikit-learn's "
            f"become when fitted; {type(self.head).__name__} predicts in NumPy, with `predict` and "
            "`evaluate` only: use LogisticRegression, or a number of hidden units as `head`."
        )


_NOT_FITTED = (
    "the head is not fitted yet: call `fit_predictions` with out-of-fold predictions, or `fit` "
    "with held-out images."
)
