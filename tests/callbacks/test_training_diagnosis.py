"""TrainingDiagnosis in a `fit`; what it says of which curve is asked in tests/once."""

import keras
import numpy as np
import pytest
import trainings

from keras_dcnn._keras.fitting import batch_size_of_fit
from keras_dcnn._reading.rows import Rows
from keras_dcnn.callbacks import TrainingDiagnosis

pytestmark = pytest.mark.every_backend
DATA = trainings.X, trainings.Y


def classifier():
    keras.utils.set_random_seed(7)
    head = keras.layers.Dense(3, "softmax", dtype="float32")
    model = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Flatten(), head])
    arguments = {"metrics": ["accuracy"], **trainings.for_few_steps()}
    model.compile(keras.optimizers.SGD(0.3), "sparse_categorical_crossentropy", **arguments)
    return model


def rules(callback):
    return [finding.rule for finding in callback.findings]


class Sizes(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.size = batch_size_of_fit(self.model)


def test_prints_between_two_epochs_and_knows_of_the_validation(capsys):
    diagnosis, size = TrainingDiagnosis(), Sizes()
    model, parts = trainings.lent(classifier), [diagnosis, size]
    trainings.fit(model, parts, epochs=2, validation_freq=2, verbose=2)
    assert size.size == 16
    assert [one["epoch"] for one in diagnosis.log] == [2]  # its end
    assert rules(diagnosis) == ["too_short"]
    capsys.readouterr()
    data = Rows(DATA, None, 16)
    model.fit(data, epochs=2, callbacks=parts, verbose=2)
    assert size.size is None
    assert "no_validation" not in rules(diagnosis)  # there was some, in the first `fit`
    other = TrainingDiagnosis()
    model.fit(data, epochs=2, callbacks=[other], verbose=1)
    out = capsys.readouterr().out
    assert rules(other) == ["no_validation", "too_short"]
    bar, said, second = map(out.rindex, ("Epoch 1/2", "TrainingDiagnosis, epoch 1:", "Epoch 2/2"))
    assert bar < said < second
    assert out[bar:said].count("3/3") == out[bar:second].count("3/3") > 0
    assert "new   warning  no_validation" in out[said:second]


def test_it_changes_nothing_and_goes_on_when_all_is_lost():
    model, weights = trainings.lent(classifier), []
    begin = model.get_weights()
    for parts in ([], [TrainingDiagnosis(DATA, examine_every=1)]):
        model.set_weights(begin)
        keras.utils.set_random_seed(7)
        trainings.fit(model, parts, epochs=2)
        weights.append(model.get_weights())
    assert trainings.same(*weights)
    model.set_weights([np.full_like(one, np.nan) for one in weights[0]])
    trainings.fit(model, parts, epochs=2)
    assert "not_finite" in rules(parts[0])
    assert not {"not_read", "not_examined"} & set(rules(parts[0]))
