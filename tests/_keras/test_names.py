"""What the package reaches in Keras's private modules does what its public side shows."""

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn._keras import fitting, graph, optimizers, variables

pytestmark = pytest.mark.every_backend


def dense(units=2, optimizer=None):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
    model.compile(optimizer or keras.optimizers.SGD(0.5), "mse", metrics=["mae"])
    return model


def values(variables):
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def test_optimizers_that_hold_a_rate():
    one, other = keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.2)
    both = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(one, {".*bias": other}))
    assert set(optimizers.leaf_optimizers(keras.optimizers.LossScaleOptimizer(both))) == {
        one,
        other,
    }
    assert optimizers.has_fixed_rate(one)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    assert not optimizers.has_fixed_rate(keras.optimizers.SGD(schedule))


def test_a_rate_set_outside_a_training():
    model = dense()
    optimizers.set_rate(model, model.optimizer, 0.25)
    assert float(model.optimizer.learning_rate) == 0.25


def test_the_direction_of_a_metric():
    model = dense()
    model.compile("sgd", "mse", metrics=["accuracy"])
    model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
    assert (fitting.infer_mode(model, "loss"), fitting.infer_mode(model, "accuracy")) == (
        "min",
        "max",
    )
    with pytest.raises(ValueError, match="score"):
        fitting.infer_mode(model, "score")


def test_slots_begin_anew():
    model = dense(optimizer=keras.optimizers.Adam(0.1))
    optimizers.build_optimizer(model)
    fresh = values(optimizers.slots(model.optimizer))
    assert len(fresh) == len(model.optimizer.variables) - 1  # all but the rate
    for variable in optimizers.slots(model.optimizer):
        variable.assign(np.ones(variable.shape))
    optimizers.reset_slots(model.optimizer)
    assert trainings.same(values(optimizers.slots(model.optimizer)), fresh)


def test_the_optimizer_whose_decay_acts_on_a_variable():
    decays = keras.optimizers.SGD(0.1, weight_decay=0.01)
    decays.exclude_from_weight_decay(var_names=["bias"])
    none = keras.optimizers.SGD(0.1)
    several = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(none, {".*kernel": decays})
    )
    kernel, bias = dense().trainable_variables
    assert optimizers.decaying_optimizer(decays, kernel) is decays
    assert optimizers.decaying_optimizer(decays, bias) is None
    assert optimizers.decaying_optimizer(several, kernel) is decays
    assert optimizers.decaying_optimizer(none, kernel) is None


def test_variables_seeds_and_layers_of_a_model():
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5, seed=3)])
    model = keras.Sequential([keras.Input((3,)), inner, keras.layers.Dense(2)])
    (seed,) = variables.seed_variables(model)
    assert seed.path.endswith("seed_generator_state")
    assert trainings.same(
        values(fitting.live_values(model, variables.state_variables(model))),
        values([*model.trainable_variables, *model.non_trainable_variables]),
    )
    assert set(graph.all_layers(model)) >= {model, inner, *model.layers, *inner.layers}
    assert variables.own_trainable_weights(model) == []
    assert variables.own_trainable_weights(model.layers[-1]) == model.trainable_weights
    assert graph.output_layer(model) is model.layers[-1]
    assert graph.output_layer(inner) is inner.layers[-1]
    assert [path for path, _ in graph.walk_layers(inner)][-1] == inner.layers[-1].name


def test_keras_count_of_seeds_is_set_back():
    keras.utils.set_random_seed(5)
    assert variables.global_seed() is None
    keras.random.normal(())
    state = variables.global_seed()
    second = float(keras.random.normal(()))
    variables.set_global_seed(state)
    assert float(keras.random.normal(())) == second


def test_what_a_model_was_compiled_with():
    model = dense()
    arguments = fitting.compile_arguments(model)
    assert (arguments["loss"], arguments["metrics"]) == ("mse", ["mae"])
    assert arguments["optimizer"] is model.optimizer


def test_batches_are_those_that_fit_takes():
    x, y = np.arange(5.0)[:, None], np.arange(5)
    count, batches = fitting.batches_as_fit_takes_them(x, y, batch_size=2)
    seen = [[np.ravel(part).tolist() for part in batch[:2]] for batch in batches]
    assert count == 3
    assert seen == [[[0, 1], [0, 1]], [[2, 3], [2, 3]], [[4], [4]]]
    with pytest.raises(ValueError, match="at least one batch"):
        list(fitting.batches_as_fit_takes_them(x[:0], batch_size=2)[1])


def test_what_a_training_built_is_gone():
    model = dense(optimizer=keras.optimizers.Adam(0.1))
    put_back = fitting.contents(model)
    model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
    assert model.optimizer.built
    put_back()
    assert not model.optimizer.built
    assert len(model.optimizer.variables) == 2
