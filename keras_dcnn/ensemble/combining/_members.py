"""Runs members on batches: models of one architecture through one compiled graph."""

import contextlib

import keras

from keras_dcnn._keras.compiling import InferenceStep
from keras_dcnn._keras.graph import all_layers
from keras_dcnn._keras.variables import state_variables
from keras_dcnn._structure.architecture import architecture

ops = keras.ops


class Member:
    """A model, its variables in an order that stays, and the compiled step of its architecture."""

    def __init__(self, model, twin=None, vectorize=False):
        self.model = model
        self.variables = state_variables(model)
        self._weights_inside = _weights_inside(model)
        self.is_first = twin is None
        self.step = twin.step if twin else InferenceStep(model, self.variables, vectorize)

    def is_as_it_was(self):
        """Whether the model still has the variables it had, as after `quantize` it has not.

        And the weights of ensembles in it, which the graph holds as constants.
        """
        now = {id(variable) for variable in state_variables(self.model)}
        same = now == {id(variable) for variable in self.variables}
        return same and self._weights_inside == _weights_inside(self.model)

    def values(self):
        return [ops.convert_to_tensor(variable) for variable in self.variables]

    @contextlib.contextmanager
    def running(self):
        """Yield `run(x)` → outputs, losses; what changes in it, as what draws, goes on."""
        values = self.values()

        def run(x):
            outputs, losses, states = self.step(values, x)
            for place, state in zip(self.step.changed, states, strict=True):
                values[place] = state
            return outputs, losses

        try:
            yield run
        finally:
            for place in self.step.changed:
                self.variables[place].assign(values[place])


class MembersInMemory:
    """Models that are there, run in turn, or with `vectorize` stacked and as one."""

    def __init__(self, models, vectorize=False):
        self._models = models
        self._vectorize = vectorize
        self._members = []

    def __len__(self):
        return len(self._models)

    def name(self, i):
        return f"member {i} `{self._models[i].name}`"

    def run(self, chosen, batches):
        """Each batch, (x, y, sample_weight), with the (outputs, losses) of the chosen members."""
        if not self._members or not all(member.is_as_it_was() for member in self._members):
            self._members = _members(self._models, self._vectorize)
        running = _as_one if self._vectorize else _in_turn
        with running([self._members[i] for i in chosen]) as run:
            for batch in batches:
                yield batch, run(tensors(batch[0]))


def _weights_inside(model):
    return [getattr(layer, "member_weights", None) for layer in all_layers(model)]


def tensors(x):
    return keras.tree.map_structure(ops.convert_to_tensor, x)


def _members(models, vectorize):
    """Those of models that differ in weights alone share the step."""
    twins, members = {}, []
    for i, model in enumerate(models):
        key = architecture(model) or id(model)
        if vectorize and twins and key not in twins:
            raise ValueError(
                "`vectorize=True` needs members of one architecture, with the same layers "
                f"trainable and all state in variables; member {i} `{model.name}` is another: "
                "leave `vectorize` out."
            )
        members.append(Member(model, twins.get(key), vectorize))
        twins[key] = members[-1]
    return members


@contextlib.contextmanager
def _in_turn(members):
    with contextlib.ExitStack() as stack:
        runs = [stack.enter_context(member.running()) for member in members]
        yield lambda x: [run(x) for run in runs]


@contextlib.contextmanager
def _as_one(members):
    """On stacked weights, which are a copy."""
    values = [ops.stack(each) for each in zip(*(m.values() for m in members), strict=True)]
    first = members[0]

    def run(x):
        results, states = first.step(values, x)
        for place, state in zip(first.step.changed, states, strict=True):
            values[place] = state
        return results

    try:
        yield run
    finally:
        for i, member in enumerate(members):
            for place in first.step.changed:
                member.variables[place].assign(values[place][i])
