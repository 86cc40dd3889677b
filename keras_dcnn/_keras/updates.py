"""How often optimizers have updated a model, which Keras's calls of callbacks do not tell."""

import functools

import keras

from keras_dcnn._keras.compiling import compile_function
from keras_dcnn._keras.fitting import state_on_jax, sync
from keras_dcnn._keras.optimizers import build_optimizer, leaf_optimizers, training_optimizers
from keras_dcnn._keras.variables import tensors_of

ops = keras.ops
compiled_once = functools.cache(compile_function)


def since(seen, counts, batches_per_update):
    """How many updates there were between the counts that were seen and these, and copies of these.

    Of several optimizers that with the most counts, as they update the model together.
    """
    counts = [ops.cast(ops.copy(one), "int32") for one in counts]
    new = [
        now // n - then // n for now, then, n in zip(counts, seen, batches_per_update, strict=True)
    ]
    return ops.maximum(ops.max(ops.stack(new)), 0), counts


class UpdateCounter:
    """Counts the updates of a model in a `fit`.

    Keras calls batch hooks once for a batch, or for an execution of several. An optimizer
    accumulates over batches, leaves out those without finite gradients, or is called as often as a
    `train_step` likes. Its `iterations` are an operation where it accumulates, which JAX can't do
    in the middle of an epoch; the variable behind them is private.

    Where an optimizer is not Keras's, or none counted anything in an epoch, calls are counted.
    """

    def __init__(self, model):
        self._model = model
        self._have_moved = True

    def begin_epoch(self):
        """Count from here, as counters may have been set back."""
        if self._model.built and self._model.optimizer is not None:
            build_optimizer(self._model)  # some find out only then which optimizers are inside
        held = [one.optimizer for one in training_optimizers(self._model)]
        leaves = [leaf for one in held for leaf in leaf_optimizers(one)]
        ours = [one for one in leaves if isinstance(one, keras.optimizers.Optimizer)]
        self._may_skip_all = any(hasattr(one, "inner_optimizer") for one in held)
        self._counts_calls = not ours or len(ours) < len(leaves) or not self._have_moved
        self._per_update = [one.gradient_accumulation_steps or 1 for one in ours]
        self._variables = [one._iterations for one in ours]
        lists = {
            "optimizer_variables": getattr(self._model.optimizer, "variables", []),
            "non_trainable_variables": self._model.non_trainable_variables,
        }
        places = {id(v): (name, i) for name, held in lists.items() for i, v in enumerate(held)}
        self._places = [places.get(id(variable)) for variable in self._variables]
        self._at_begin = self._taken()
        self._seen = [ops.convert_to_tensor(one, "int32") for one in self._at_begin]
        self._steps = [ops.convert_to_tensor(one, "int32") for one in self._per_update]

    def end_epoch(self):
        """See whether the counters have moved; loss scaling may skip a whole epoch."""
        self._have_moved = self._may_skip_all or self._taken() != self._at_begin
        self._counts_calls = self._counts_calls or not self._have_moved

    def _counts(self):
        """Tensors of the batches that each optimizer took; JAX's trainer need not wait for them."""
        state = state_on_jax(self._model)
        if not state:
            sync(self._model)
            return tensors_of(self._variables)
        pairs = zip(self._variables, self._places, strict=True)
        held = [state[at[0]][at[1]] if at else variable for variable, at in pairs]
        return [ops.convert_to_tensor(one) for one in held]

    def _taken(self):
        return [int(ops.convert_to_numpy(one)) for one in self._counts()]

    def new(self):
        """The updates since the last call, as a tensor or a number; there is no waiting for it."""
        if self._counts_calls:
            return 1
        new, self._seen = compiled_once(since)(self._seen, self._counts(), self._steps)
        return new

    def batches_waiting(self):
        """For each optimizer the batches since its last update; waits only where it accumulates."""
        if max(self._per_update, default=1) == 1:
            return [0] * len(self._per_update)
        pairs = zip(self._taken(), self._per_update, strict=True)
        return [taken % per_update for taken, per_update in pairs]
