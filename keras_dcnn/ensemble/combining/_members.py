"""Runs members on batches: models of one architecture through one compiled graph."""

import contextlib

import keras

from keras_dcnn._keras.compiling import InferenceStep
from keras_dcnn._keras.variables import state_variables, tensors_of
from keras_dcnn._structure.architecture import architecture
from keras_dcnn._structure.settings import settings_of_all

ops = keras.ops


class Member:
    """A model, its variables in an order that stays, and the compiled step of its architecture.

    `step` is that of another member of the architecture, if there is one.
    """

    def __init__(self, model, step=None):
        self.model = model
        self.variables = state_variables(model)
        self.step = step or InferenceStep(model, self.variables)
        self._settings = settings_of_all(model)

    def is_as_it_was(self):
        """Whether the model still has the variables it had, as after `quantize` it has not.

        And the attributes of layers, such as activations, which the graph holds as constants.
        """
        now = {id(variable) for variable in state_variables(self.model)}
        same = now == {id(variable) for variable in self.variables}
        return same and self._settings == settings_of_all(self.model)

    @contextlib.contextmanager
    def running(self):
        """Yield `run(x)` → outputs, losses; what changes in it, as what draws, goes on."""
        values = tensors_of(self.variables)

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
    """Models that are there, run in turn."""

    def __init__(self, models, names=None):
        self._models = models
        self._names = names or [model.name for model in models]
        self._members = []

    def __len__(self):
        return len(self._models)

    def name(self, i):
        return f"member {i} `{self._names[i]}`"

    def run(self, chosen, batches):
        """Each batch, (x, y, sample_weight), with the (outputs, losses) of the chosen members."""
        if not self._members or not all(member.is_as_it_was() for member in self._members):
            self._members = _members(self._models)
        with contextlib.ExitStack() as stack:
            runs = [stack.enter_context(self._members[i].running()) for i in chosen]
            for batch in batches:
                x = tensors(batch[0])
                yield batch, [run(x) for run in runs]


def tensors(x):
    return keras.tree.map_structure(ops.convert_to_tensor, x)


def _members(models):
    """Those of models that differ in weights alone share the step."""
    steps, members = {}, []
    for model in models:
        key = architecture(model) or id(model)
        members.append(Member(model, steps.get(key)))
        steps[key] = members[-1].step
    return members
