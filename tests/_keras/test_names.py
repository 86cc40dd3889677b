"""What the package reaches in Keras's private modules does what its public side shows."""

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn._keras import compiling, fitting, graph, learning_rates, optimizers, variables

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
    learning_rates.set_rate(model, model.optimizer, 0.25)
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


def test_what_a_callback_sees_of_its_fit(capsys):
    model, seen = dense(), []
    data = np.ones((4, 3)), np.ones((4, 2))

    def begin(logs):
        seen.append(stop in fitting.callbacks_of_fit())
        fitting.begin_at(model, 2)

    def look(epoch, logs):
        seen.append((epoch, fitting.validate(model)["loss"] == logs["val_loss"]))
        seen.append(fitting.has_validation(model))
        fitting.print_message("0.1 → 0.05")

    stop = keras.callbacks.TerminateOnNaN()
    watch = keras.callbacks.LambdaCallback(on_train_begin=begin, on_epoch_end=look)
    parts = [watch, stop]
    model.fit(*data, validation_data=data, epochs=3, callbacks=parts, verbose=0)
    assert seen == [True, (2, True), True]
    assert capsys.readouterr().out == "0.1 → 0.05\n"
    assert not fitting.has_validation(model)
    assert fitting.callbacks_of_fit() == []


@pytest.mark.parametrize("is_known", [True, False])
def test_rates_and_values_between_two_batches(monkeypatch, is_known):
    """With what JAX's trainer holds, and by the public way where that is not to be found."""
    if not is_known:
        monkeypatch.setattr(fitting, "state_on_jax", lambda model: None)
        monkeypatch.setattr(learning_rates, "state_on_jax", lambda model: None)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    # A constant gradient of 1, so that a step is as long as the rate.
    model.compile(keras.optimizers.SGD(0.5), lambda y, p: keras.ops.mean(p) + 0 * y)
    seen = []

    class Halve(keras.callbacks.Callback):
        def set_model(self, model):  # not through `self.model`, which stops JAX
            self.given = model

        def on_train_batch_begin(self, batch, logs=None):
            learning_rates.set_rate(self.given, self.given.optimizer, 0.5 ** (batch + 1))

        def on_train_batch_end(self, batch, logs=None):
            (value,) = fitting.live_values(self.given, self.given.trainable_variables)
            seen.append(float(keras.ops.convert_to_numpy(value)[0, 0]))

    start = float(model.get_weights()[0][0, 0])
    x = np.ones((4, 1), "float32")
    model.fit(x, x, batch_size=1, callbacks=[Halve()], verbose=0)
    np.testing.assert_allclose(-np.diff([start, *seen]), [0.5, 0.25, 0.125, 0.0625], atol=1e-6)


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


def test_the_calls_in_a_graph_and_who_uses_what():
    inputs = keras.Input((3,))
    first, second = keras.layers.Dense(4), keras.layers.Dense(2)
    model = keras.Model(inputs, second(first(inputs)))
    assert isinstance(model, graph.functional())
    assert not isinstance(dense(), graph.functional())
    assert [node.operation for node in graph.nodes_of(model)][1:] == [first, second]
    assert graph.nodes_of(model)[2].input_tensors[0].shape == (None, 4)
    layer = dense().layers[-1]
    sequential = keras.Sequential([keras.Input((3,)), layer])
    assert graph.nodes_of(sequential)[-1].operation is layer
    assert second in graph.users_of(first)
    assert graph.users_of(second) == []


def test_whether_a_call_is_traced(backend):
    assert not compiling.is_traced(keras.ops.ones(2))
    seen = []

    def look(x):
        seen.append(compiling.is_traced(x))
        return x

    keras.ops.vectorized_map(look, keras.ops.ones((2, 3)))
    assert seen == [True]


def test_metrics_are_built_where_the_trainer_leaves_that_to_its_first_step():
    model = dense()
    fitting.build_metrics(model, (np.ones((2, 3)), np.ones((2, 2))))
    is_built = keras.backend.backend() == "tensorflow"
    assert fitting.has_seen_a_batch(model) == is_built
    assert not any(value.any() for value in values(model.metrics_variables))


def test_what_a_step_left_and_whether_there_was_one():
    model = dense()
    assert not fitting.has_seen_a_batch(model)
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 2)))
    assert fitting.has_seen_a_batch(model)
    before = model.get_weights()
    fitting.forget_step(model)
    assert fitting.state_on_jax(model) is None
    assert trainings.same(model.get_weights(), before)
