"""What the models of an ensemble have in common."""

from collections.abc import Mapping

import keras

from keras_dcnn._checks import check_built_model
from keras_dcnn._keras.fitting import infer_mode


def config_without_optimizer(model):
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    return config


def split_names(argument, given):
    """The names of what is given as a dict, or None, and what is given as it was."""
    if not isinstance(given, Mapping):
        return None, given
    for name in given:
        if not isinstance(name, str) or not name:
            raise TypeError(f"the names of `{argument}` must be texts; got {name!r}.")
    return tuple(given), list(given.values())


def in_order(argument, given, names):
    """What is given as a dict of these names, as a list in their order; all else as it is."""
    if not isinstance(given, Mapping):
        return given
    if names is None or set(given) != set(names):
        raise ValueError(
            f"`{argument}` as a dict must have the members' names, {', '.join(names or ['none'])}; "
            f"got {', '.join(map(str, given))}."
        )
    return [given[name] for name in names]


def sign_of_cost(model, monitor):
    """1 where a lower value of what `evaluate` measures is better, else −1."""
    try:
        return -1 if infer_mode(model, monitor) == "max" else 1
    except ValueError as error:
        raise ValueError(
            "`monitor` must be the loss or a metric of which Keras knows whether it is to fall or "
            f"to rise; of {monitor!r} it does not: choose another."
        ) from error


def shapes_of(model):
    """Input and output shape of a built model, subclassed or not."""
    if hasattr(model, "input_shape"):
        return model.input_shape, model.output_shape
    input_shape = (model.get_build_config() or {}).get("input_shape")
    if not isinstance(input_shape, (list, tuple)) or not all(
        size is None or isinstance(size, int) for size in input_shape
    ):
        has = "several" if input_shape else "one of a shape that Keras was not told"
        raise ValueError(
            f"a subclassed member must have one input of a known shape; `{model.name}` has {has}: "
            "wrap it in a functional model, keras.Model(inputs, outputs)."
        )
    input_shape = (None, *input_shape[1:])
    outputs = model.compute_output_spec(keras.KerasTensor(input_shape))
    return input_shape, keras.tree.map_structure(lambda output: output.shape, outputs)


def check_models(name, models, advice, outputs=True):
    """Raise unless `models` are different built Keras models of the same shapes.

    Without `outputs` of the same input shapes only. `name` is what they are called, and `advice` is
    for who gives one twice.
    """
    one = name.removesuffix("s")
    alike = "input and output shapes" if outputs else "input shape"
    if not isinstance(models, (list, tuple)):
        raise TypeError(f"`{name}` must be a list of models; got {type(models).__name__}.")
    if not models:
        raise ValueError(f"`{name}` must hold at least one model; got none.")
    for i, model in enumerate(models):
        check_built_model(model, f"{one} {i}")
        first, own = shapes_of(models[0]), shapes_of(model)
        if not outputs:
            first, own = first[0], own[0]
        if first != own:
            raise ValueError(
                f"`{name}` must have the same {alike}; {one} 0 `{models[0].name}` has {first}, "
                f"{one} {i} `{model.name}` {own}."
            )
        if any(model is earlier for earlier in models[:i]):
            raise ValueError(
                f"`{name}` must be different models; {one} {i} `{model.name}` is given twice: "
                f"{advice}."
            )
