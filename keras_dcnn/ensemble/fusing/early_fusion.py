"""EarlyFusion: the features of several networks, concatenated, under one head."""

import inspect
import os
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np

from keras_dcnn._checks import check_flag, check_keywords
from keras_dcnn._keras.fitting import batches_as_fit_takes_them
from keras_dcnn.ensemble.combining._models import check_models, config_without_optimizer, shapes_of
from keras_dcnn.ensemble.fusing._features import Features
from keras_dcnn.ensemble.fusing._heads import (
    as_keras_file,
    check_head_targets,
    check_trainable,
    keras_head,
    output_layer_for,
    train_head,
    with_validation,
)
from keras_dcnn.ensemble.fusing._held_out import batches_that_count, with_labels


@keras.saving.register_keras_serializable(package="keras_dcnn")
class EarlyFusion(keras.Model):
    """Several networks as one: their features are concatenated, and one head answers.

    Networks that saw the world differently, by their architecture or the data they were pretrained
    on, know different things; a head on all of their features weighs these class by class, where
    `Ensemble` only averages the answers. `y = head([f₁(x), …, f_M(x)])`; maps and sequences of
    features are averaged over their places.

    The networks are those that are given, not copies. As they are by default, frozen, their layers
    get `trainable = False` and run as at inference in training too, BatchNorm and dropout with
    them, so that `fit` trains the head alone. `fit_head` does the same in a fraction of the time:
    it runs the networks once, and trains the head on the features; what an augmentation would draw
    anew in each epoch stays the same there.

    Features of networks may differ in scale, and a head learns slowly from small ones: then begin
    it with a normalisation, `head=keras.Sequential([BatchNormalization(), Dense(10, "softmax")])`.
    The head should not be trained on samples that the networks were trained on to the end, whose
    features look better than those of new ones; `StackedEnsemble` refuses these.

    Args:
        networks: Built Keras models, at least one, with the same input shape.
        head: A number of classes, for a Dense layer with a softmax (1: sigmoid), or a Keras layer
            or model that takes `(batch, features)`; where a sample may have several labels
            `Dense(labels, "sigmoid")`.
        layer: Where the features are: None, the output of each network; the name of a layer that
            each has; or `"penultimate"`, what goes into the last Dense layer of each. Layers inside
            a model inside a network can't be named. What comes after is cut off.
        train_networks: Whether `fit` trains the networks too, end to end, as far as their layers'
            own `trainable` allows.
        **kwargs: Keras's own model arguments, such as `name`.

    Input shape:
        That of the networks.

    Output shape:
        That of the head, `(batch, classes)`.

    Raises:
        ValueError: for networks that differ in their input shape, are given twice, have several
            outputs or no such `layer`, and for a `head` that takes another number of features.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    def network(units):
        return keras.Sequential([
            keras.Input((4,)), keras.layers.Dense(units, "relu"), keras.layers.Dense(3, "softmax")
        ])

    x, y = np.random.default_rng(0).random((12, 4)), np.arange(12) % 3
    fusion = keras_dcnn.ensemble.EarlyFusion([network(8), network(5)], 3, layer="penultimate")
    fusion.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fusion.fit_head(x, y, epochs=5, verbose=0)
    print(fusion.predict(x, verbose=0).shape, fusion.features(x).shape)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 8.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    def __init__(
        self,
        networks: Sequence[keras.Model],
        head: Any,
        layer: str | None = None,
        train_networks: bool = False,
        **kwargs: Any,
    ) -> None:
        check_keywords(self, kwargs)
        check_flag("train_networks", train_networks)
        check_models("networks", networks, "once is enough for its features", outputs=False)
        features = Features(networks, layer)
        head = keras_head(head, features.size, output_layer_for)
        super().__init__(**kwargs)
        self.networks, self.head, self.layer = features.networks, head, layer
        self.train_networks, self._features = train_networks, features
        for network in () if train_networks else self.networks:
            network.trainable = False
        self.build(shapes_of(self.networks[0])[0])

    def call(self, inputs: Any, training: bool = False) -> Any:
        rows = self._features(inputs, training=training and self.train_networks)
        return self.head(rows, training=training)

    def fit(
        self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        if self.compiled:
            given = inspect.signature(super().fit).bind_partial(x, y, *args, **kwargs).arguments
            more = (given.get("sample_weight"), given.get("validation_data"))
            check_head_targets(self, self._features.size, y, *more)
        return super().fit(x, y, *args, **kwargs)

    def features(
        self, x: Any, batch_size: int | None = None, steps: int | None = None
    ) -> np.ndarray:
        """The networks' features side by side: (samples, features) in float32, a NumPy array.

        Takes `x` as `predict` does, and memory for the features alone. Raises ValueError for NaN.
        """
        batches = batches_as_fit_takes_them(x, batch_size=batch_size, steps=steps)[1]
        return self._features.read(batches)[0]

    def fit_head(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        validation_data: Any = None,
        batch_size: int | None = None,
        **fit_arguments: Any,
    ) -> keras.callbacks.History:
        """Train the head as `fit` would, with the networks run only once.

        Args:
            x: As `fit` takes it: arrays, or tf.data, PyDataset, DataLoader with the labels, which
                must end.
            y: Labels; None where they are in `x`.
            sample_weight: As in `fit`; samples of 0 are left out.
            validation_data: As in `fit`.
            batch_size: Samples at a time, of images and of features; None for 32.
            **fit_arguments: What `fit` takes more, such as `epochs`; callbacks get the head as
                their model.

        Returns:
            The `History`, as `fit`.

        Raises:
            ValueError: with `train_networks=True`; for a fusion that is not compiled; for NaN; for
                labels outside the classes.
        """
        if self.train_networks:
            raise ValueError(
                "`fit_head` needs frozen networks, whose features stay what they are; this fusion "
                "has train_networks=True: call `fit`."
            )

        check_trainable(self)

        def read(*data):
            batches = batches_as_fit_takes_them(*data, batch_size=batch_size)[1]
            return self._features.read(batches_that_count(with_labels(batches)))

        given = with_validation({"validation_data": validation_data, **fit_arguments}, read)
        rows, y, weights = read(x, y, sample_weight)
        return train_head(
            self, rows, y, {"sample_weight": weights, "batch_size": batch_size} | given
        )

    def save(self, filepath: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        super().save(as_keras_file(self, filepath), *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "networks": [config_without_optimizer(one) for one in self.networks],
            "head": keras.saving.serialize_keras_object(self.head),
            "layer": self.layer,
            "train_networks": self.train_networks,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = keras.saving.deserialize_keras_object(config)
        fusion = cls(**{**config, "layer": None})  # the networks are cut
        fusion.layer = config["layer"]
        return fusion
