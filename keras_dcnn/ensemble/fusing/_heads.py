"""Heads: what answers on top of the features or predictions of several networks."""

import keras

from keras_dcnn._checks import as_path, check_count
from keras_dcnn._keras.fitting import compile_arguments
from keras_dcnn._keras.graph import output_layer
from keras_dcnn._reading.batches import as_array, counting
from keras_dcnn._reading.rows import are_arrays
from keras_dcnn._structure.targets import check_for_loss
from keras_dcnn.ensemble.judging._task import (
    Task,
    task_of_activation,
    task_of_labels,
)


def output_layer_for(classes, several_labels=False):
    """A softmax over the classes; sigmoids for one or for labels. In float32 in any precision."""
    activation = "sigmoid" if classes == 1 or several_labels else "softmax"
    return keras.layers.Dense(classes, activation, dtype="float32", name="head")


def keras_head(head, num_features, layer_for):
    """The Keras layer that is given or, for a number, `layer_for` it, built for these features."""
    if not isinstance(head, keras.layers.Layer):
        if not hasattr(head, "__index__"):
            raise ValueError(
                "`head` must be a number of units or a Keras layer, as in keras.layers.Dense(3), "
                "or in StackedEnsemble an estimator of scikit-learn's, as in LogisticRegression(); "
                f"got {head!r}."
            )
        check_count("head", head)
        head = layer_for(int(head))
    if not head.built:
        head.build((None, num_features))
    head.compute_output_spec(keras.KerasTensor((None, num_features)))  # or Keras says why not
    return head


def hidden_head(member, classes):
    """A function that makes, of a number of hidden units, a head for members like this one."""

    def with_hidden(units):
        hidden = keras.layers.Dense(units, "relu", name="hidden")
        several = task_of_last_layer(member, classes) is Task.SEVERAL_LABELS
        return keras.Sequential([hidden, output_layer_for(classes, several)], name="head")

    return with_hidden


def task_of_last_layer(model, columns):
    """The `Task` that the last activation of a model, or of a layer, shows, or None."""
    last = (output_layer(model) if isinstance(model, keras.Model) else None) or model
    if isinstance(last, keras.layers.Softmax):
        return Task.ONE_CLASS
    return task_of_activation(getattr(getattr(last, "activation", None), "__name__", None), columns)


def check_head_targets(model, num_features, y, sample_weight=None, validation_data=None):
    """Raise ValueError for labels that the head of a compiled model can't mean, on every backend.

    Labels outside the classes of a sparse cross-entropy, which JAX takes for others; targets
    outside [0, 1] of a binary one; and rows of several labels for a softmax. Of arrays alone; those
    of samples of weight 0 may be anything.
    """
    losses = [loss for loss in keras.tree.flatten(compile_arguments(model)["loss"]) if loss]
    if len(losses) != 1:
        return
    if are_arrays(y):
        _check_labels(model, num_features, losses[0], y, sample_weight)
    given = validation_data if isinstance(validation_data, (tuple, list)) else ()
    if len(given) > 1 and are_arrays(given[1]):
        try:
            _check_labels(model, num_features, losses[0], *given[1:3])
        except ValueError as error:
            raise ValueError(f"in `validation_data`, {error}") from None


def _check_labels(model, num_features, loss, y, sample_weight=None):
    y = as_array(y)
    if sample_weight is not None and len(sample_weight) == len(y):
        y = y[counting(sample_weight)]
    shape = model.head.compute_output_spec(keras.KerasTensor((None, num_features))).shape
    check_for_loss(y, loss, shape[-1])
    if (
        task_of_labels(y, shape) is Task.SEVERAL_LABELS
        and task_of_last_layer(model.head, shape[-1]) is Task.ONE_CLASS
    ):
        raise ValueError(
            "a head with a softmax says one class for each sample; `y` has rows of several labels, "
            f'or of none: give `head` as a layer, keras.layers.Dense({shape[-1]}, "sigmoid").'
        )


def as_keras_file(model, filepath):
    """The path to save a model of several models to; ValueError for HDF5, which holds no such."""
    path = as_path("filepath", filepath)
    if path.suffix in (".h5", ".hdf5"):
        raise ValueError(
            f"{type(model).__name__} is saved in Keras's own format, as HDF5 holds no models in "
            f"models; got {path}: name it {path.with_suffix('.keras').name}."
        )
    return path


def check_trainable(model):
    """Raise ValueError unless a model is compiled with what it takes to train its head."""
    given = compile_arguments(model) if model.compiled else {}
    missing = [name for name in ("loss", "optimizer") if given.get(name) is None]
    if missing:
        raise ValueError(
            f"a Keras head needs a loss and an optimizer to be trained; `{model.name}` has no "
            f"{' and no '.join(missing)}: call `compile`, as in "
            '`compile("adam", "sparse_categorical_crossentropy")`.'
        )


def with_validation(fit_arguments, read):
    """The arguments of `fit`, of whose `validation_data` `read` makes rows, labels and weights."""
    given = fit_arguments.get("validation_data")
    if given is None:
        return fit_arguments
    given = given if isinstance(given, (tuple, list)) else (given,)
    try:
        return {**fit_arguments, "validation_data": read(*given)}
    except ValueError as error:
        raise ValueError(f"in `validation_data`, {error}") from error


def train_head(model, features, y, fit_arguments):
    """Train the head of a compiled model on features; returns the History, as `fit`."""
    check_trainable(model)
    validation = fit_arguments.get("validation_data")
    check_head_targets(model, features.shape[1], y, validation_data=validation)
    alone = keras.Sequential([keras.Input((features.shape[1],)), model.head])
    alone.compile(**compile_arguments(model))
    model.history = alone.fit(features, y, **fit_arguments)
    return model.history


def answer_of(head, learner, rows):
    """What a Keras head, or the learner where it is none, says, and the losses of regularizers."""
    if not isinstance(head, keras.layers.Layer):
        return keras.ops.convert_to_tensor(learner.answer(rows), rows.dtype), []
    values = head.trainable_variables, head.non_trainable_variables
    outputs, _, losses = head.stateless_call(*values, rows, training=False, return_losses=True)
    return keras.ops.stop_gradient(outputs), losses  # or PyTorch would keep the rows
