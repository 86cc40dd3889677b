"""Ensemble: several models that answer as one."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

import keras

from keras_dcnn._checks import as_path, check_choice, check_keywords, check_shares
from keras_dcnn._keras.graph import output_layer
from keras_dcnn.ensemble.combining._combination import COMBINE, as_weights, combine, common_dtype
from keras_dcnn.ensemble.combining._combined_model import CombinedModel
from keras_dcnn.ensemble.combining._members import MembersInMemory
from keras_dcnn.ensemble.combining._models import (
    check_models,
    config_without_optimizer,
    in_order,
    shapes_of,
    split_names,
)


@keras.saving.register_keras_serializable(package="keras_dcnn")
class Ensemble(CombinedModel):
    """Several models as one Keras model, whose prediction is their combination.

    Almost all first places in image competitions went to ensembles. Predict, evaluate and save it
    like any model: members and weights lie in one `.keras` file.

    `y = Σₘ wₘ yₘ` for "probability" and "logit"; `y ∝ Πₘ yₘ^wₘ` for "geometric"; the weighted share
    of members that choose the class for "vote". The same in training and at inference. If the
    members are compiled, the ensemble is compiled with the loss and metrics of the first, ready for
    `evaluate`; otherwise call `compile`. It has no optimizer unless you compile one: an ensemble is
    made of trained models.

    Args:
        members: Built Keras models, at least one, with the same input and output shapes and outputs
            of real numbers. A list, or a dict of names, by which `named_members` has them.
        combine: `"probability"` averages the members' probabilities; `"logit"` their raw outputs,
            for members without a softmax and for regression; `"geometric"` multiplies
            probabilities; `"vote"` counts the members' choices. The last two take an image to have
            one class; where it may have several, use the first two.
        weights: One number ≥ 0 per member, a list or a dict of their names, or None for equal
            weights; divided by their sum. Members of weight 0 are not run, and not exported. Kept
            as `member_weights`, which may be set.
        **kwargs: Keras's own model arguments, such as `name`.

    Input shape:
        That of the members.

    Output shape:
        That of the members: `(batch, classes)`, or `(batch, 1)` for two classes; several outputs
        are combined one by one.

    Raises:
        ValueError: for no members, members that differ in shapes, one model given twice, weights
            that don't fit, and a `combine` that contradicts the members' last activation.
        TypeError: for a member that is not a Keras model or gives other than floating-point
            numbers, and for an unknown keyword.

    Example:

    ```python
    import keras
    import numpy as np
    import keras_dcnn

    def build(seed):
        init = keras.initializers.GlorotUniform(seed)
        return keras.Sequential([
            keras.Input((4,)), keras.layers.Dense(3, "softmax", kernel_initializer=init)
        ])

    members = {"first": build(0), "second": build(1)}
    ensemble = keras_dcnn.ensemble.Ensemble(members, weights={"first": 2, "second": 1})
    print(ensemble.predict(np.ones((2, 4)), verbose=0).sum(axis=1))
    print(ensemble.named_members["first"].count_params())
    ```

    Reference:
        Zhou: Ensemble Methods: Foundations and Algorithms (2012), chapter 4.
        https://doi.org/10.1201/b12207
    """

    def __init__(
        self,
        members: Sequence[keras.Model] | Mapping[str, keras.Model],
        combine: str = "probability",
        weights: Sequence[float] | Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        check_keywords(self, kwargs)
        check_choice("combine", combine, tuple(COMBINE))
        names, members = split_names("members", members)
        members = check_members(members, combine, names)
        super().__init__(**kwargs)
        self.autocast = False  # the members cast what they are given, each to its own precision
        self.members = members
        self.member_names = names
        self.combine = combine
        weights = in_order("weights", weights, names)
        self.member_weights = check_shares("weights", weights, len(members), "member")
        self._pool = MembersInMemory(members, names)
        self.name_outputs(getattr(members[0], "output_names", None))
        self.build(shapes_of(members[0])[0])
        if all(member.compiled for member in members):
            self.compile_for_evaluation(members[0].get_compile_config())

    @property
    def named_members(self) -> dict[str, keras.Model]:
        """The members by the names that they were given."""
        if self.member_names is None:
            raise ValueError("these members have no names: give `members` as a dict of them.")
        return dict(zip(self.member_names, self.members, strict=True))

    @property
    def weights(self) -> list[keras.Variable]:
        """Those of the members that count, whose regularizers count too; `save` writes all."""
        if "_pool" not in vars(self):  # Keras asks while it is made
            return super().weights
        of_members = [weight for i in self.shares() for weight in self.members[i].weights]
        return [*{id(weight): weight for weight in of_members}.values()]

    def call(self, inputs: Any, training: bool = False) -> Any:
        shares = self.shares()
        outputs = [self.members[i](inputs, training=training) for i in shares]
        return combine(self.combine, outputs, as_weights(shares, outputs))

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        if self.compiled and self.optimizer is None:
            raise ValueError(
                "an Ensemble is made of trained models and has no optimizer: train the members, or "
                "call `compile` with an optimizer to train them jointly."
            )
        return super().fit(*args, **kwargs)

    def save(self, filepath: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Write all members and their weights into one `.keras` file."""
        path = as_path("filepath", filepath)
        if path.suffix in (".h5", ".hdf5"):
            raise ValueError(
                f"an Ensemble is saved in Keras's own format, of which HDF5 knows nothing; got "
                f"{path}: name it {path.with_suffix('.keras').name}."
            )
        super().save(path, *args, **kwargs)

    def export(self, *args: Any, **kwargs: Any) -> None:
        """Write a SavedModel or what else `keras.Model.export` writes, of all that count in one."""
        shares = self.shares()
        if len(shares) < len(self.members):
            members = [self.members[i] for i in shares]
            Ensemble(members, self.combine, [*shares.values()]).export(*args, **kwargs)
            return
        first = self.members[0]
        if hasattr(first, "input"):
            self(
                keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype), first.input)
            )
        else:
            self(keras.KerasTensor(shapes_of(first)[0]))
        super().export(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        configs, names = [config_without_optimizer(m) for m in self.members], self.member_names
        return {
            **super().get_config(),
            "members": configs if names is None else dict(zip(names, configs, strict=True)),
            "combine": self.combine,
            "weights": self.member_weights,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = {key: value for key, value in config.items() if key != "vectorize"}  # till 0.1.0
        names, configs = split_names("members", config["members"])
        members = [keras.saving.deserialize_keras_object(m) for m in configs]
        members = dict(zip(names, members, strict=True)) if names else members
        return cls(**{**config, "members": members})


def check_members(members, combine, names=None):
    """The members as a list; raises unless they are models alike that can be combined so."""
    check_models("members", members, "use `weights` to count it more")
    for i, member in enumerate(members):
        check_answers(f"member {i} `{names[i] if names else member.name}`", member, combine)
    return list(members)


def check_answers(name, member, combine):
    """Raise where outputs are no real numbers, or their layer shows that `combine` is wrong."""
    if getattr(member, "outputs", None):  # subclassed models have none
        common_dtype(member.outputs)
    layer = output_layer(member)
    activation = getattr(layer, "activation", None)
    if isinstance(layer, keras.layers.Softmax):
        activation = keras.activations.softmax
    one_raw_output = combine == "vote" and getattr(layer, "units", None) == 1
    if activation is keras.activations.linear and (
        combine in ("probability", "geometric") or one_raw_output
    ):
        raise ValueError(
            f"combine={combine!r} needs probabilities; {name} ends in a linear layer: use "
            "combine='logit', or add a softmax or sigmoid."
        )
    several = activation is keras.activations.sigmoid and shapes_of(member)[1][-1] != 1
    if combine in ("vote", "geometric") and several:
        raise ValueError(
            f"combine={combine!r} takes an image to have one class; {name} ends in "
            f"{shapes_of(member)[1][-1]} sigmoids, one for each of several labels (multi-label): "
            "use combine='probability'."
        )
    if combine == "logit" and activation in (keras.activations.softmax, keras.activations.sigmoid):
        raise ValueError(
            f"combine='logit' needs raw outputs; {name} ends in {activation.__name__}: use "
            "combine='probability' or 'geometric'."
        )
