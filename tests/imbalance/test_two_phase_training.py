"""Two phases: what each reads and trains, what stays as it is, and what is refused."""

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn.callbacks import GradualUnfreeze, ResumeTraining
from keras_dcnn.imbalance import BalancedDataset, TwoPhaseTraining, train_in_two_phases

X = np.random.default_rng(0).normal(size=(21, 4)).astype("float32")
Y = np.repeat([0, 1, 2], [12, 6, 3])
BALANCED = {0: 21 / 36, 1: 21 / 18, 2: 21 / 9}
HEAD = slice(-2, None)


def network(**head):
    """A hidden layer with BatchNorm, dropout and a softmax, the same at each call."""
    keras.utils.set_random_seed(7)
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="relu", name="features"),
            keras.layers.BatchNormalization(momentum=0.5, name="norm"),
            keras.layers.Dense(3, name="head", dtype="float32", **head),
            keras.layers.Activation("softmax", dtype="float32"),
        ]
    )


def compiled(optimizer=None, **head):
    model = network(**head)
    optimizer = optimizer or keras.optimizers.SGD(0.1)
    how = trainings.for_few_steps()
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **how)
    return model


def state(model):
    """What a training must leave as it was."""
    return [
        *(layer.trainable for layer in model.layers),
        *(name in vars(layer) for layer in model.layers for name in ("call",)),
        *(
            name in vars(part)
            for part, name in ((model, "compute_loss"), (model.optimizer, "apply"))
        ),
        trainings.rate_of(model.optimizer),
        model.compiled,
    ]


class Weights(trainings.Record):
    """The weights before the first epoch, too."""

    def on_train_begin(self, logs=None):
        self.epochs.append(self.model.get_weights())


@pytest.mark.every_backend
def test_only_the_head_moves_in_the_second_phase_and_all_before():
    """With decay and momenta, compiled as users do."""
    model, record = network(), Weights()
    optimizer = keras.optimizers.AdamW(0.05, weight_decay=0.5, global_clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=trainings.jit())
    before = state(model)
    fit(model, [TwoPhaseTraining(1, "head", verbose=0), record], epochs=3)
    start, first, second, third = record.epochs
    assert not any(map(np.array_equal, start, first))
    assert trainings.same(first[:-2], second[:-2])
    assert trainings.same(first[:-2], third[:-2])
    assert not any(map(np.array_equal, second[HEAD], third[HEAD]))
    assert state(model) == before


def fit(model, callbacks, epochs=2, x=X, y=Y, **more):
    arguments = {"batch_size": 36, "verbose": 0, "shuffle": False, **more}
    return model.fit(x, y, epochs=epochs, callbacks=callbacks, **arguments).history


@pytest.mark.every_backend
def test_after_an_interruption_all_layers_learn_again():
    model = compiled()
    before = state(model)
    phases = TwoPhaseTraining(1, "head", verbose=0)
    with pytest.raises(KeyboardInterrupt):
        fit(model, [phases, trainings.StopAt(2, 0)], epochs=3)
    assert state(model) == before
    record = Weights()
    fit(model, [record], epochs=1)
    assert not any(map(np.array_equal, *record.epochs))


def test_the_head_begins_anew_once_at_the_start_of_its_phase():
    """From its own initializer; and what the optimizer remembers of the old one is gone."""
    model = compiled(keras.optimizers.SGD(0.0, momentum=0.9), kernel_initializer="ones")
    model.get_layer("head").set_weights([np.full((5, 3), 7.0), np.full(3, 7.0)])
    model.optimizer.build(model.trainable_variables)
    for slot in model.optimizer.variables[2:]:
        slot.assign(np.ones(slot.shape))
    model.optimizer.learning_rate = 1e-30
    fit(model, [TwoPhaseTraining(1, "head", verbose=0)], epochs=2)
    np.testing.assert_allclose(model.get_weights()[-2], 1)
    np.testing.assert_allclose(model.get_weights()[-1], 0, atol=1e-6)
    model.get_layer("head").set_weights([np.full((5, 3), 7.0), np.full(3, 7.0)])
    fit(model, [TwoPhaseTraining(1, "head", verbose=0)], epochs=3, initial_epoch=2)  # resumed
    np.testing.assert_allclose(model.get_weights()[-2], 7)


def test_reweighted_multiplies_the_weights_of_samples_from_the_second_phase_on():
    """Those of validation are as they were; labels are one-hot here, and numbers below."""
    y, own = np.eye(3)[Y], np.linspace(0, 2, 21)
    model, twin = compiled(), compiled()
    for one in (model, twin):
        one.compile(
            keras.optimizers.SGD(0.1), "categorical_crossentropy", **trainings.for_few_steps()
        )
    phases = TwoPhaseTraining(1, "reweighted", class_weight=[0.5, 1.0, 4.0], verbose=0)
    curves = fit(model, [phases], y=y, sample_weight=own, validation_data=(X, y))
    fit(twin, [], y=y, epochs=1, sample_weight=own)
    own = own * np.array([0.5, 1.0, 4.0])[Y]
    second = fit(twin, [], y=y, epochs=1, sample_weight=own, validation_data=(X, y))
    assert curves["loss"][1] == pytest.approx(second["loss"][0], rel=1e-5)
    assert curves["val_loss"][1] == pytest.approx(second["val_loss"][0], rel=1e-5)
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_a_training_that_is_killed_goes_on_in_its_phase(tmp_path):
    """Also where the phase has only begun, with the new head that it would have had."""

    def train(folder, *stop):
        model = compiled(keras.optimizers.SGD(0.1, momentum=0.9))
        callbacks = [TwoPhaseTraining(1, "head", verbose=0), ResumeTraining(tmp_path / folder)]
        fit(model, [*callbacks, *stop], epochs=2)
        return model.get_weights()

    with pytest.raises(KeyboardInterrupt):
        train("killed", trainings.StopAt(1, 0))
    assert trainings.same(train("killed"), train("whole"))


class Told(BalancedDataset):
    """Tells which labels were read in each epoch."""

    def __init__(self, *arguments, **more):
        self.read = []
        super().__init__(*arguments, **more)

    def __getitem__(self, index):
        batch = super().__getitem__(index)
        self.read.append(batch[1])
        return batch


class Count(keras.callbacks.Callback):
    """The labels that each epoch read, by class."""

    def __init__(self, data):
        super().__init__()
        self.data, self.counts = data, []

    def on_epoch_begin(self, epoch, logs=None):
        self.data.read.clear()

    def on_epoch_end(self, epoch, logs=None):
        read = np.concatenate(self.data.read)
        self.counts.append(np.bincount(read, minlength=3).tolist())


def test_a_dataset_is_drawn_by_natural_shares_first_and_then_by_its_mode():
    """In a second `fit` again; the mode is its own at the end."""
    data, model = Told(X, Y, mode="over", batch_size=48, verbose=0), compiled()
    phases, count = TwoPhaseTraining(1, data=data, verbose=0), Count(data)
    for _ in range(2):
        model.fit(data, epochs=2, callbacks=[phases, count], verbose=0)
        assert data.mode == "over"
    assert count.counts == [[21, 10, 5], [12, 12, 12]] * 2


@pytest.mark.parametrize("form", ["many_then_few", "head", "reweighted"])
def test_the_function_is_two_fits(form):
    """On whole batches of the samples that the table says; the rate is as before at the end."""
    model, twin = compiled(kernel_initializer="ones"), compiled(kernel_initializer="ones")
    before, each = state(model), np.repeat(np.arange(21), np.array([1, 2, 4])[Y])
    first, second = {"many_then_few": (Y == 0, Y > 0)}.get(form, (slice(None), slice(None)))
    second = each if form == "head" else second
    result = train_in_two_phases(
        *(model, (X, Y), (X, Y)), form=form, epochs=(1, 2), learning_rate=0.01, batch_size=36,
        verbose=0,
    )  # fmt: skip
    fit(twin, [], epochs=1, x=X[first], y=Y[first])
    if form == "head":
        twin.get_layer("head").set_weights([np.ones((5, 3)), np.zeros(3)])
        for layer in twin.layers[:-2]:
            layer.trainable = False
    how = trainings.for_few_steps()
    twin.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", **how)
    weighted = {"class_weight": BALANCED} if form == "reweighted" else {}
    fit(twin, [], epochs=2, x=X[second], y=Y[second], **weighted)
    for one, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert state(model) == before
    assert [len(one["val_loss"]) for one in (result.first, result.second)] == [1, 2]
    assert form in str(result)


@pytest.mark.every_backend
class Fail(keras.callbacks.Callback):
    """Raises in the second epoch, when a step has been made."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch:
            raise ZeroDivisionError


@pytest.mark.every_backend
def test_the_function_puts_all_back_when_the_second_phase_fails():
    model, record = compiled(), Weights()
    before = state(model)
    how = {"form": "head", "epochs": (1, 1), "learning_rate": 0.01, "verbose": 0}
    with pytest.raises(ZeroDivisionError):
        train_in_two_phases(model, (X, Y), callbacks=[Fail()], **how)
    assert state(model) == before
    fit(model, [record], epochs=1)
    assert not any(map(np.array_equal, *record.epochs))


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3, "softmax")

    def call(self, x):
        return self.dense(x)


class Steps(Own):
    def train_step(self, *args):
        raise AssertionError("refused before")


def own(kind=Own):
    model = kind()
    model(X)
    model.compile("sgd", "sparse_categorical_crossentropy", **trainings.for_few_steps())
    return model


def head(**more):
    return TwoPhaseTraining(1, "head", verbose=0, **more)


FITS = [
    (lambda: compiled(), [TwoPhaseTraining(2, "head")], "start=2 and epochs=2"),
    (lambda: compiled(), [head(head="none")], "of those of .* it has none"),
    (own, [head()], "does not end in a Dense layer .* head='dense_2'"),
    (lambda: own(Steps), [head()], "in a way of its own"),
    (lambda: compiled(keras.optimizers.SGD(use_ema=True)), [head()], "use_ema=True"),
    (lambda: compiled(), [head(), head()], "and TwoPhaseTraining would both change"),
    (lambda: compiled(), [GradualUnfreeze(["norm"]), head()], "GradualUnfreeze"),
    (
        lambda: compiled(),
        [TwoPhaseTraining(1, "reweighted", class_weight={0: 1.0})],
        "a weight for each of 3 classes, 0 to 2",
    ),
    (
        lambda: compiled(),
        [TwoPhaseTraining(1, "reweighted", class_weight=[1, 1, -1])],
        "`class_weight` must be a finite number of at least 0; got -1",
    ),
]


@pytest.mark.parametrize(("model", "callbacks", "says"), FITS, ids=[one[2] for one in FITS])
def test_what_a_fit_refuses_before_its_first_epoch(model, callbacks, says):
    model = model()
    if "Gradual" in says:
        optimizer = callbacks[0].optimizer(model, keras.optimizers.SGD(0.1))
        model.compile(optimizer, "sparse_categorical_crossentropy")
    before = model.get_weights()
    with pytest.raises(ValueError, match=says):
        fit(model, callbacks)
    assert trainings.same(before, model.get_weights())


def test_a_head_that_is_named_begins_anew_or_goes_on():
    """In a model whose `call` is its own."""
    model = own()
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    fit(model, [head(head="de*", seed=None)])
    assert trainings.same(before, model.get_weights())
    fit(model, [head(head="de*")])
    assert not trainings.same(before, model.get_weights())


def test_a_middle_of_an_epoch_can_not_be_resumed_with_a_new_head(tmp_path):
    with pytest.raises(ValueError, match="ResumeTraining without `every_batches`, or seed=None"):
        fit(compiled(), [head(), ResumeTraining(tmp_path, every_batches=1)])


def test_models_that_the_function_refuses():
    with pytest.raises(ValueError, match="`model` must be compiled"):
        train_in_two_phases(network(), (X, Y))
    with pytest.raises(ValueError, match="does not end in a Dense layer"):
        train_in_two_phases(own(), (X, Y), form="head")


def test_a_dataset_that_fit_does_not_read_is_refused():
    other = TwoPhaseTraining(1, data=BalancedDataset(X, Y, verbose=0))
    with pytest.raises(ValueError, match="`data` must be what `fit` reads"):
        fit(compiled(), [other])
