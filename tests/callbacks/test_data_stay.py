"""No callback reads what `fit` is to read, and Keras's own averages are not in the way."""

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn._keras.rereading import is_stream, moves_when_read
from keras_dcnn.callbacks import CheckpointEnsemble, DeadUnits, DivideLROnPlateau, WeightAveraging


def stream():
    at = 0
    while True:
        yield trainings.X[at % 48 : at % 48 + 8], trainings.Y[at % 48 : at % 48 + 8]
        at += 8


class Moving(keras.utils.PyDataset):
    def __len__(self):
        return 1

    def __getitem__(self, at):
        return trainings.X, trainings.Y

    def on_epoch_end(self):
        self.place = 1


def test_which_data_move_when_they_are_read():
    import tensorflow as tf

    pairs = tf.data.Dataset.from_tensor_slices((trainings.X, trainings.Y))
    shuffled = pairs.shuffle(9).batch(4)
    of_python = tf.data.Dataset.from_generator(stream, output_types=("float32", "int64"))
    for data in (stream(), of_python):
        assert is_stream(data)
        assert moves_when_read(data)
    assert moves_when_read(Moving())
    assert moves_when_read(shuffled, steps=2)
    assert moves_when_read(shuffled.take(2))
    for data in (None, shuffled, trainings.VALIDATION, pairs.batch(4)):
        assert not moves_when_read(data)
    assert not moves_when_read(pairs.batch(4), steps=2)


def test_a_data_loader_moves_when_it_has_a_generator_of_its_own():
    torch = pytest.importorskip("torch")
    tensors = torch.utils.data.TensorDataset(torch.ones(4, 2))
    own = torch.utils.data.DataLoader(tensors, shuffle=True, generator=torch.Generator())
    assert moves_when_read(own)
    assert not moves_when_read(torch.utils.data.DataLoader(tensors))


@pytest.mark.every_backend
@pytest.mark.parametrize("kind", [pytest.param("stream", marks=pytest.mark.slow), "arrays"])
def test_validation_is_that_without_averaging(kind):
    """A look reads the first two batches of arrays, after which `fit` begins anew."""
    losses = []
    for parts in ([], [WeightAveraging(start=0, evaluate="raw")]):
        model = trainings.compiled()
        given = {"validation_data": stream()} if kind == "stream" else {"validation_batch_size": 8}
        if parts and kind == "stream":
            with pytest.warns(UserWarning, match="a generator, would not be the same for fit"):
                history = trainings.fit(model, parts, validation_steps=2, **given)
        else:
            history = trainings.fit(model, parts, validation_steps=2, **given)
        losses.append(history["val_loss"])
        trainings.take_back()
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_best_statistics_wait_for_the_first_validation():
    averaging = WeightAveraging(start=0, batch_norm="best", data=trainings.X, verbose=0)
    history = trainings.fit(trainings.compiled(), [averaging], epochs=2, validation_freq=2)
    assert len(history["val_loss"]) == 1  # and no warning, which would be an error


def test_dead_units_refuse_the_generator_that_fit_reads():
    data = stream()
    model = trainings.compiled()
    with pytest.raises(ValueError, match=r"must not be the generator that `fit` reads.* its own"):
        model.fit(data, steps_per_epoch=2, shuffle=False, callbacks=[DeadUnits(data)])


def test_losses_that_are_nan_are_told_as_such():
    model = trainings.compiled()
    spoil = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: model.set_weights(
            [weight * np.nan for weight in model.get_weights()]
        )
    )
    with pytest.warns(UserWarning, match=r"loss of nan, those in training nan: .*diverged"):
        trainings.fit(model, [WeightAveraging(start=0), spoil], epochs=2)


def with_ema(overwrite=None):
    return keras.optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=overwrite)


def test_an_optimizer_that_averages_is_refused_or_worked_with(tmp_path):
    swap = keras.callbacks.SwapEMAWeights
    inside = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(with_ema(2)))
    )
    members = CheckpointEnsemble(tmp_path / "members")
    for optimizer, parts, message in (
        (with_ema(), [WeightAveraging()], "use_ema=True: both set the .*leave one of the two out"),
        (inside, [WeightAveraging()], "WeightAveraging can't work beside the optimizer"),
        (with_ema(), [DivideLROnPlateau(restore="weights")], "use restore='state'"),
        (with_ema(), [members, swap(True)], r"list SwapEMAWeights\(swap_on_epoch=True\) before"),
        (with_ema(), [swap(), members], r"list SwapEMAWeights\(swap_on_epoch=True\) before"),
        (with_ema(), [swap(True), DivideLROnPlateau(restore="state")], "leave `swap_on_epoch` out"),
    ):
        with pytest.raises(ValueError, match=message):
            trainings.fit(trainings.compiled(optimizer), parts, epochs=1)


def test_members_are_the_averages_that_swap_ema_weights_validates(tmp_path):
    members, record = CheckpointEnsemble(tmp_path), trainings.Record()
    model = trainings.compiled(with_ema())
    parts = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True), members, record]
    history = trainings.fit(model, parts, epochs=2)
    for entry, loss in zip(members.members, history["val_loss"], strict=True):
        other = trainings.network()
        other.load_weights(tmp_path / entry["file"])
        other.compile(loss="sparse_categorical_crossentropy", jit_compile=trainings.jit())
        assert other.evaluate(*trainings.VALIDATION, verbose=0) == pytest.approx(loss, rel=1e-4)
