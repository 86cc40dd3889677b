"""Runs members on batches: models of one architecture through one compiled graph."""

import contextlib

import keras

from keras_dcnn._architecture import architecture
from keras_dcnn._keras import inference_step, seed_variables, state_variables

ops = keras.ops


class Member:
    """A model, its variables in an order that stays, and the compiled step of its architecture."""

    def __init__(self, model, twin=None, vectorize=False):
        self.model = model
        self.variables = state_variables(model)
        draws = {id(seed) for seed in seed_variables(model)}
        self.seeds = [i for i, v in enumerate(self.variables) if id(v) in draws]
        self.is_first = twin is None
        self.step = twin.step if twin else inference_step(model, self.variables, vectorize)

    def is_as_it_was(self):
        """Whether the model still has the variables it had, as after `quantize` it has not."""
        now = {id(variable) for variable in state_variables(self.model)}
        return now == {id(variable) for variable in self.variables}

    def values(self):
        return [ops.convert_to_tensor(variable) for variable in self.variables]

    @contextlib.contextmanager
    def running(self):
        """Yield `run(x)` → outputs, losses; random numbers go on as in Keras's `predict`."""
        values = self.values()

        def run(x):
            outputs, losses, states = self.step(values, x)
            for place, state in zip(self.seeds, states, strict=True):
                values[place] = state
            return outputs, losses

        try:
            yield run
        finally:
            for place in self.seeds:
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


def tensors(x):
    return keras.tree.map_structure(ops.convert_to_tensor, x)


def _members(models, vectorize):
    """Those of models that differ in weights alone share the step."""
    twins, members = {}, []
    for i, model in enumerate(models):
        key = architecture(model) or id(model)
        if vectorize and twins and key not in twins:
            raise ValueError(
                "`vectorize=True` needs members of one architecture, all of whose state is in "
                f"variables; member {i} `{model.name}` is another: leave `vectorize` out."
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
        outputs, losses, states = first.step(values, x)
        for place, state in zip(first.seeds, states, strict=True):
            values[place] = state
        return [
            keras.tree.map_structure(lambda part, i=i: part[i], (outputs, losses))
            for i in range(len(members))
        ]

    try:
        yield run
    finally:
        for i, member in enumerate(members):
            for place in member.seeds:
                member.variables[place].assign(values[place][i])
