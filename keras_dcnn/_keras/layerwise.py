"""An optimizer whose variables learn at shares of one rate."""

import keras

from keras_dcnn._keras.by_variable import ByVariable
from keras_dcnn._keras.optimizers import decaying_optimizer, leaf_optimizers

# What is the matter of the optimizer itself, and how its rule for the updates is to have it.
_WHOLE = {
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}


class _Rule(ByVariable):
    """The optimizer that makes updates of gradients, and the share and decay of each variable.

    An optimizer that had all this in attributes of its own would save the state of this one twice,
    and take the variables for parts of its own.
    """

    what = "a layerwise optimizer"

    def __init__(self, optimizer, values, variables):
        super().__init__(values, variables)
        self.optimizer = optimizer


@keras.saving.register_keras_serializable(package="keras_dcnn")
class LayerwiseOptimizer(keras.optimizers.Optimizer):
    """An optimizer in which each variable learns at a share of the one learning rate.

    It has the rate, clips, accumulates, averages and scales as any. What becomes of a gradient is
    the matter of the optimizer that it is made of, here called the rule, which gets the variables
    of one share together, with their rate. Private is how an optimizer updates and decays a list of
    variables (`update_step`, which is public, is not called on PyTorch), its schedule, and what it
    has for variables. A public multiplier of a variable's rate would replace this.

    Args:
        optimizer: A new Keras optimizer.
        shares: For each variable its share of the learning rate.
        decays: For each variable whether the optimizer's weight decay acts on it.
        variables: The variables; None takes them, in their order, when the optimizer is built.
    """

    def __init__(self, optimizer, shares, decays, variables=None):
        config = optimizer.get_config()
        rate = optimizer._learning_rate
        rate = float(optimizer.learning_rate.numpy()) if isinstance(rate, keras.Variable) else rate
        names = [name for name in (*_WHOLE, "weight_decay") if name in config]
        own = {name: config[name] for name in names}
        super().__init__(rate, **own, name=f"layerwise_{optimizer.name}")
        self._config = config
        rule = {name: _WHOLE.get(name, config[name]) for name in config}
        rule = type(optimizer).from_config({**rule, "learning_rate": self._rate_of_share})
        self._rule = _Rule(rule, zip(shares, decays, strict=True), variables)
        self._share = 1.0
        self._exclude(variables or [])

    def _rate_of_share(self):
        return self.learning_rate * self._share

    def _exclude(self, variables):
        """Have Keras know on which of the variables no weight decay acts."""
        undecayed = [one for one in variables if not self._rule.value_of(one)[1]]
        super().exclude_from_weight_decay(var_list=undecayed)

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        raise ValueError(
            "what has no weight decay must be said before an optimizer is made layerwise: call "
            "exclude_from_weight_decay of the optimizer that layerwise_optimizer is given."
        )

    def build(self, variables):
        if not self.built:
            self._rule.know(variables)
            self._exclude(variables)
            super().build(variables)
            self._rule.optimizer.build(variables)
            for slot in self._rule.optimizer.variables:
                self._track_variable(slot)  # not as an attribute, which loss scaling has untracked

    def apply(self, grads, trainable_variables=None):
        super().apply(grads, trainable_variables)
        self._rule.optimizer.iterations.assign(self.iterations)

    def _apply_weight_decay(self, variables):
        rule = self._rule.optimizer
        rule.weight_decay = self.weight_decay
        decayed = [variable for variable in variables if self._rule.value_of(variable)[1]]
        for own in self._shares(decayed):
            rule._apply_weight_decay([decayed[i] for i in own])

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        for own in self._shares(trainable_variables):
            self._rule.optimizer._backend_update_step(
                [grads[i] for i in own],
                [trainable_variables[i] for i in own],
                learning_rate * self._share,
            )

    def _shares(self, variables):
        """For each share in turn the places of its variables, while the rate is that of theirs."""
        shares = [self._rule.value_of(variable)[0] for variable in variables]
        for share in dict.fromkeys(shares):
            self._share = share
            yield [i for i, one in enumerate(shares) if one == share]

    def get_config(self):
        now = super().get_config()
        kept = [name for name in now if name in self._config and name != "name"]
        config = {**self._config, **{name: now[name] for name in kept}}
        said = self._rule.said
        if self.built:
            said = [self._rule.value_of(variable) for variable in self._trainable_variables]
        shares, decays = zip(*said, strict=True)
        optimizer = type(self._rule.optimizer).from_config(config)
        return {
            "optimizer": keras.optimizers.serialize(optimizer),
            "shares": shares,
            "decays": decays,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        optimizer = keras.optimizers.deserialize(config["optimizer"], custom_objects)
        return cls(**{**config, "optimizer": optimizer})


def make_layerwise(optimizer, variables, shares, undecayed):
    """A LayerwiseOptimizer; no weight decay acts on what is in `undecayed`, by id.

    Nor on what `exclude_from_weight_decay` was told, though that is in no configuration.
    """
    excluded = [
        id(one) in undecayed
        or bool(optimizer.weight_decay and decaying_optimizer(optimizer, one) is None)
        for one in variables
    ]
    return LayerwiseOptimizer(optimizer, shares, [not one for one in excluded], variables)


def check_is_plain(optimizer):
    """Raise ValueError unless this is a single optimizer, new and with one rate."""
    is_keras = isinstance(optimizer, keras.optimizers.Optimizer)
    if not is_keras or leaf_optimizers(optimizer) != [optimizer]:
        raise ValueError(
            "`optimizer` must be a single Keras optimizer, such as keras.optimizers.AdamW(1e-3), "
            f"which Keras wraps for loss scaling by itself; got {optimizer!r}."
        )
    if optimizer.built or isinstance(optimizer, LayerwiseOptimizer):
        what = "is built for a model" if optimizer.built else "is layerwise"
        raise ValueError(
            f"`optimizer` must be new; got {optimizer.name}, which {what} already: make another, "
            "such as keras.optimizers.AdamW(1e-3)."
        )


def check_can_be_layerwise(optimizer):
    """Raise ValueError for what can't have a rate for each variable."""
    check_is_plain(optimizer)
    if isinstance(optimizer, keras.optimizers.Nadam):
        raise ValueError(
            "`optimizer` must update each variable by itself; Nadam has a number for all that "
            "changes with each list of them: take another, such as keras.optimizers.Adam(1e-3)."
        )
