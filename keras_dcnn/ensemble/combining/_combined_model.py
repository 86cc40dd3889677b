"""CombinedModel: what `Ensemble` and `EnsembleOnDisk` share, prediction through one graph."""

import functools
import warnings

import keras

from keras_dcnn._keras.compiling import compile_function
from keras_dcnn._keras.fitting import batches_as_fit_takes_them, is_distributed
from keras_dcnn.ensemble.combining._combination import as_weights, combine, has_nan
from keras_dcnn.ensemble.combining._member_outputs import MemberOutputs, joined_batches, refuse_nan

to_numpy = keras.ops.convert_to_numpy


class CombinedModel(MemberOutputs, keras.Model):
    """A Keras model of which `_pool` holds the members, and `call` combines them in one graph.

    `predict` and `evaluate` don't trace `call`: they run the members one by one, those of one
    architecture through one compiled graph, and read the data once. Subclasses set `_pool`,
    `combine` and `member_weights`.
    """

    def compile_for_evaluation(self, config):
        """Compile with the loss and metrics of a member's compile configuration, no optimizer.

        Args:
            config: What `get_compile_config()` of a compiled Keras model returns.
        """
        try:
            arguments = keras.saving.deserialize_keras_object({**config, "optimizer": None})
        except (TypeError, ValueError) as error:  # a loss that isn't registered with Keras
            warnings.warn(
                f"the ensemble is not compiled ({error}): call `compile` before `evaluate`.",
                stacklevel=2,
            )
            return
        self.compile(**arguments)

    def compile_from_config(self, config):
        if config.get("optimizer") is None:
            self.compile_for_evaluation(config)
        else:
            super().compile_from_config(config)

    def name_outputs(self, names):
        """Let losses and metrics be given by the members' names of outputs, where they have any."""
        if names:
            self.output_names = names

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """The combined prediction, as of `keras.Model.predict`; x may be all that that takes.

        Raises:
            ValueError: where a member predicts NaN; it says which, and for which sample.
        """
        if is_distributed(self):
            return super().predict(x, batch_size, verbose, steps, callbacks)
        count, batches = batches_as_fit_takes_them(x, batch_size=batch_size, steps=steps)
        callbacks = self._callbacks(callbacks, verbose, count)
        self.stop_predicting = False
        callbacks.on_predict_begin()
        parts = []
        batches = _announced(batches, callbacks.on_predict_batch_begin)
        for step, (_, combined, _) in enumerate(self._combined(batches)):
            parts.append(combined)
            callbacks.on_predict_batch_end(step, {"outputs": combined})
            if self.stop_predicting:
                break
        callbacks.on_predict_end()
        return joined_batches(parts)

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
        **kwargs,
    ):
        """Loss and metrics of the combined prediction, as of `keras.Model.evaluate`.

        Raises:
            ValueError: where the ensemble is not compiled, and where a member predicts NaN.
        """
        if kwargs or is_distributed(self):
            given = (x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict)
            return super().evaluate(*given, **kwargs)
        if not self.compiled:
            raise ValueError(
                "the ensemble is not compiled: call `compile(loss=…)` before `evaluate`."
            )
        count, batches = batches_as_fit_takes_them(x, y, sample_weight, batch_size, steps)
        callbacks = self._callbacks(callbacks, verbose, count)
        self.stop_evaluating = False
        callbacks.on_test_begin()
        self.reset_metrics()
        logs = {}
        batches = _announced(batches, callbacks.on_test_batch_begin)
        for step, (batch, combined, losses) in enumerate(self._combined(batches)):
            logs = self._updated_metrics(*batch, combined, losses)
            callbacks.on_test_batch_end(step, logs)
            if self.stop_evaluating:
                break
        logs = {name: _as_number(logs[name]) for name in sorted(logs)}
        callbacks.on_test_end(logs)
        return logs if return_dict else self._in_order(logs)

    @property
    def losses(self):
        """As of `keras.Model`; while `evaluate` runs, what the members gave for the batch."""
        of_batch = vars(self).get("_losses_of_batch")
        return super().losses if of_batch is None else of_batch

    def _updated_metrics(self, x, y, sample_weight, y_pred, losses):
        """What Keras's `test_step` does with predictions that are there already; the logs."""
        vars(self)["_losses_of_batch"] = losses  # Keras would track an attribute
        try:
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
        finally:
            del vars(self)["_losses_of_batch"]
        size = len(keras.tree.flatten(x)[0])
        self.metrics[0].update_state(loss, sample_weight=size)  # the mean loss comes first
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def _in_order(self, logs):
        """The list, or the one number, that `evaluate` returns: as `metrics` are, then by name."""
        metrics = [one for m in self.metrics for one in getattr(m, "metrics", [m])]
        names = [metric.name for metric in metrics if metric.name in logs]
        names += [name for name in logs if name not in names]
        return [logs[name] for name in names] if len(names) > 1 else logs[names[0]]

    def _callbacks(self, callbacks, verbose, count):
        if isinstance(callbacks, keras.callbacks.CallbackList):
            return callbacks
        return keras.callbacks.CallbackList(
            callbacks, add_progbar=verbose != 0, verbose=verbose, epochs=1, steps=count, model=self
        )

    def _combined(self, batches):
        """Each batch, its combined outputs, and the members' losses of regularizers."""
        shares = self.shares()
        chosen = [*shares]
        for batch, results in self._pool.run(chosen, batches):
            outputs = [_where_it_counts(outputs, batch[2]) for outputs, _ in results]
            weights = as_weights(shares, outputs)
            combined, nan = _compiled_combine(self.combine)(outputs, weights)
            refuse_nan(self._pool, to_numpy(nan), chosen)
            yield batch, combined, [loss for _, losses in results for loss in losses]


def _where_it_counts(outputs, sample_weight):
    """The outputs, with a number in place of NaN of weight 0, as their product is NaN."""
    if sample_weight is None:
        return outputs

    def one(output, weight):
        if weight is None:
            return output
        weight = keras.ops.convert_to_tensor(weight)
        missing = len(output.shape) - len(weight.shape)
        weight = keras.ops.reshape(weight, (*weight.shape, *[1] * missing))
        ignored = keras.ops.logical_and(weight == 0, keras.ops.isnan(output))
        some = 1 / max(2, output.shape[-1])  # a probability whose logarithm is finite
        return keras.ops.where(ignored, keras.ops.full_like(output, some), output)

    flat, weights = keras.tree.flatten(outputs), keras.tree.flatten(sample_weight)
    weights = weights * len(flat) if len(weights) == 1 else weights
    if len(flat) != len(weights):
        return outputs
    kept = [one(*pair) for pair in zip(flat, weights, strict=True)]
    return keras.tree.pack_sequence_as(outputs, kept)


def _announced(batches, begin):
    for step, batch in enumerate(batches):
        begin(step)
        yield batch


def _as_number(value):
    value = to_numpy(value)
    return value.item() if value.size == 1 else value


@functools.cache
def _compiled_combine(how):
    """Compiled for all ensembles: the combined outputs, and where the members' are NaN."""

    def combine_and_look(outputs, weights):
        return combine(how, outputs, weights), has_nan(outputs)

    return compile_function(combine_and_look)
