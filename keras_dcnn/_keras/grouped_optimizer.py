"""An optimizer that holds others, one for each group of variables."""

import keras

from keras_dcnn._keras.by_variable import ByVariable
from keras_dcnn._keras.layerwise import check_is_plain
from keras_dcnn._keras.optimizers import decaying_optimizer, has_fixed_rate


class _Groups(ByVariable, keras.optimizers.OptimizerMap):
    """Which optimizer a variable has, by the number of its group."""

    what = "an optimizer of groups"

    def __init__(self, optimizers, groups, variables):
        *others, rest = optimizers
        named = {f"group{i}": one for i, one in enumerate(others, 1)}
        keras.optimizers.OptimizerMap.__init__(self, rest, named)
        ByVariable.__init__(self, groups, variables)
        self.all = optimizers

    def __call__(self, variable):
        group = self.value_of(variable)
        return self.all[-1 if group is None else group]


@keras.saving.register_keras_serializable(package="keras_dcnn")
class GroupedOptimizer(keras.optimizers.MultiOptimizer):
    """Optimizers for groups of variables, which do to a gradient what one optimizer would.

    Keras's own map asks for paths, which several variables may share. It also clips each group by
    its own norm, stops where a group has no gradient, and forgets `loss_scale_factor`. Private is
    how an optimizer accumulates and filters gradients, which variables it has and how it counts
    them; a `MultiOptimizer` that clips by the norm over all, with a public map, would replace this.

    Args:
        optimizers: One for each group; the last is that of the rest.
        groups: For each variable the index of its optimizer.
        variables: The variables; None takes them, in their order, when the optimizer is built.
    """

    def __init__(self, optimizers, groups, variables=None, loss_scale_factor=None, name=None):
        super().__init__(_Groups(optimizers, groups, variables), loss_scale_factor, name)

    def build(self, variables):
        if not self.built:
            self._optimizer_map.know(variables)
            super().build(variables)

    def groups_of(self, variables):
        """For each variable the index of its optimizer, or None."""
        return [self._optimizer_map.value_of(variable) for variable in variables]

    @property
    def iterations(self):
        steps = self.optimizers[-1].gradient_accumulation_steps
        return keras.ops.floor_divide(self._iterations, steps) if steps else self._iterations

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        for optimizer in self.optimizers:
            optimizer.exclude_from_weight_decay(var_list, var_names)

    def apply(self, grads, trainable_variables=None):
        variables = list(trainable_variables or self._trainable_variables)
        self.build(variables)
        grads, variables = self._filter_empty_gradients(grads, variables)
        clipped = self._clipped(grads, variables)
        places = self.groups_of(variables)
        for place, optimizer in enumerate(self.optimizers):
            own = [i for i, group in enumerate(places) if group == place]
            if own:
                optimizer.apply([clipped[i] for i in own], [variables[i] for i in own])
        self._iterations.assign_add(1)

    def _clipped(self, grads, variables):
        """The gradients, so that the norm of all of them is within `global_clipnorm`.

        An optimizer that accumulates clips the mean that it has in the end: to what it has by then
        it gets as much as makes the clipped mean.
        """
        ops, like = keras.ops, self.optimizers[-1]
        limit, steps = like.global_clipnorm, like.gradient_accumulation_steps
        if not limit or limit < 0:
            return grads
        grads = [ops.convert_to_tensor(grad) for grad in grads]
        scale = self.loss_scale_factor or 1.0
        before = [self._accumulated(variable) * scale for variable in variables] if steps else None
        sums = [a + b for a, b in zip(grads, before, strict=True)] if steps else grads
        clipping = [
            ops.sum(ops.square(total))
            for total, variable in zip(sums, variables, strict=True)
            if not self._overwrite_variable_with_gradient(variable)
        ]
        norm = ops.sqrt(ops.sum(ops.stack(clipping))) / (scale * (steps or 1))
        share = limit * ops.minimum(1 / norm, 1 / limit) + (norm - norm)  # NaN for infinity too
        if not steps:
            return [grad * share for grad in grads]
        last = (self._iterations + 1) % steps == 0
        share = ops.where(last, share, ops.ones_like(share))
        return [grad * share + held * (share - 1) for grad, held in zip(grads, before, strict=True)]

    def _accumulated(self, variable):
        (optimizer,) = {self._optimizer_map(variable)}
        return optimizer._accumulated_gradients[optimizer._get_variable_index(variable)]

    def get_config(self):
        if self.built:
            groups = self.groups_of(self._trainable_variables)
        else:
            groups = self._optimizer_map.said
        return {
            "optimizers": [keras.saving.serialize_keras_object(one) for one in self.optimizers],
            "groups": groups,
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        optimizers = [
            keras.saving.deserialize_keras_object(one, custom_objects=custom_objects)
            for one in config["optimizers"]
        ]
        return cls(**{**config, "optimizers": optimizers})


def grouped_optimizer(optimizer, variables, groups, rates):
    """An optimizer in which each group has a rate of its own, and the rest that of `optimizer`.

    `groups` says for each variable the index of its group among the `rates`, or None for the rest.
    What `exclude_from_weight_decay` was told goes along, though it is in no configuration.
    """
    optimizers = []
    for number, rate in enumerate(rates, 1):
        config = {**optimizer.get_config(), "learning_rate": rate, "name": f"group{number}"}
        one = type(optimizer).from_config(config)
        for name in ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern"):
            if hasattr(optimizer, name):
                setattr(one, name, getattr(optimizer, name))
        optimizers.append(one)
    optimizers.append(optimizer)
    places = [len(rates) if group is None else group for group in groups]
    for place, one in enumerate(optimizers):
        own = [v for v, group in zip(variables, places, strict=True) if group == place]
        if one.weight_decay and not any(decaying_optimizer(one, v) for v in own):
            one.weight_decay = 0.0  # PyTorch's can't decay no weight at all
            one.exclude_from_weight_decay()
    return GroupedOptimizer(optimizers, places, list(variables), optimizer.loss_scale_factor)


def find_grouped_optimizer(model):
    """The GroupedOptimizer that a model is compiled with, inside loss scaling too; else None."""
    optimizer = model.optimizer
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return optimizer if isinstance(optimizer, GroupedOptimizer) else None


def check_can_be_grouped(optimizer):
    """Raise ValueError for what can't be taken apart into groups, or can't have a rate of 0."""
    check_is_plain(optimizer)
    if not has_fixed_rate(optimizer):
        raise ValueError(
            f"`optimizer` must have a number as its learning rate; {optimizer.name} follows a "
            "schedule: pass it a number."
        )
    if isinstance(optimizer, keras.optimizers.Ftrl):
        raise ValueError(
            "`optimizer` must leave weights as they are at a learning rate of 0, and Ftrl divides "
            "by it: take another, such as keras.optimizers.Adam(1e-3)."
        )
