"""StackedEnsemble: scikit-learn's stacking on Keras members, guarded, saved without pickle."""

import copy
import os
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from ensemble.averaged import compile_for_tests
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import (
    Lasso,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    Ridge,
)
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, RobustScaler, StandardScaler
from sklearn.svm import LinearSVC

from keras_dcnn._reading.fingerprints import fingerprints
from keras_dcnn.ensemble import Ensemble, EnsembleOnDisk, train_from_seeds
from keras_dcnn.ensemble.fusing.stacked_ensemble import StackedEnsemble

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4)).astype("float32")
SEEN = rng.normal(size=(10, 4)).astype("float32")  # stands for what members were trained on


def labels(classes):
    noisy = X + 0.7 * np.random.default_rng(1).normal(size=X.shape)
    return np.argmax(noisy[:, : max(2, classes)], axis=1)


def member(classes=3, seed=0, inputs=4, activation=None):
    init = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    activation = activation or ("sigmoid" if classes == 1 else "softmax")
    hidden = keras.layers.Dense(5, "relu", kernel_initializer=init, name="hidden")
    out = keras.layers.Dense(classes, activation, kernel_initializer=init)
    return keras.Sequential([keras.Input((inputs,)), hidden, out])


def members(classes=3, count=3, **options):
    return [member(classes, seed, **options) for seed in range(count)]


def predict(model, x=X):
    return model.predict(x, verbose=0)


def fit(stacked, *data, **options):
    return stacked.fit(*data, trained_on=SEEN, **options)


def outputs(models, x=X):
    return np.stack([keras.ops.convert_to_numpy(m(x)) for m in models])


class KerasCentroids(ClassifierMixin, BaseEstimator):
    """A Keras model as a scikit-learn classifier; its weights are the centroids of the classes."""

    def __init__(self, columns=(0, 1), units=3):
        self.columns, self.units = columns, units

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        means = np.stack([x[y == k].mean(0) for k in self.classes_]).astype("float32")
        means *= np.isin(np.arange(x.shape[1]), self.columns)
        kernel, bias = 2 * means.T, -np.square(means).sum(1)
        if self.units == 1:
            kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
        self.model_ = keras.Sequential(
            [
                keras.Input((x.shape[1],)),
                keras.layers.Dense(self.units, "sigmoid" if self.units == 1 else "softmax"),
            ]
        )
        self.model_.set_weights([kernel, bias])
        return self

    def predict_proba(self, x):
        p = keras.ops.convert_to_numpy(self.model_(x)).astype("float64")
        return np.concatenate([1 - p, p], axis=1) if self.units == 1 else p

    def predict(self, x):
        return self.predict_proba(x).argmax(1)


def estimators(units):
    columns = [(0, 1), (1, 2), (0, 3)]
    return [(str(c), KerasCentroids(c, units)) for c in columns]


@pytest.mark.parametrize("classes", [1, 3])
def test_as_scikit_learns_stacking_classifier(classes):
    y, folds = labels(classes), KFold(3)
    theirs = StackingClassifier(
        estimators(classes), LogisticRegression(), cv=folds, stack_method="predict_proba"
    ).fit(X, y)
    oof = np.stack(
        [
            cross_val_predict(one, X, y, cv=folds, method="predict_proba")
            for _, one in estimators(classes)
        ]
    )
    models = [one.model_ for one in theirs.estimators_]
    ours = StackedEnsemble(models).fit_predictions(oof[:, :, -classes:], y)
    expected = theirs.predict_proba(X)[:, -classes:]
    np.testing.assert_allclose(predict(ours), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weights", [None, [1, 0.5, 3]])
def test_ensemble_as_scikit_learns_voting_classifier(weights):
    y = labels(3)
    soft = VotingClassifier(estimators(3), voting="soft", weights=weights).fit(X, y)
    hard = VotingClassifier(estimators(3), voting="hard", weights=weights).fit(X, y)
    models = [one.model_ for one in soft.estimators_]
    ours = predict(Ensemble(models, "probability", weights))
    np.testing.assert_allclose(ours, soft.predict_proba(X), rtol=1e-5)
    votes = predict(Ensemble(models, "vote", weights))
    np.testing.assert_array_equal(votes.argmax(1), hard.predict(X))


LINEAR = {
    "logistic": LogisticRegression(),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
    "ranges": make_pipeline(MinMaxScaler((-1, 2)), LogisticRegressionCV(Cs=3, cv=2, max_iter=1000)),
    "quartiles": make_pipeline(RobustScaler(), LogisticRegression()),
    "ridge": Ridge(),
    "no intercept": make_pipeline(StandardScaler(with_std=False), Lasso(0.01, fit_intercept=False)),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # what LogisticRegressionCV will change
@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("name", LINEAR)
def test_linear_heads_become_keras_layers(classes, name):
    models, y = members(classes), labels(classes)
    regression = not hasattr(LINEAR[name], "predict_proba")
    if regression and classes > 1:
        y = np.eye(classes)[y]
    stacked = fit(StackedEnsemble(models, LINEAR[name]), X, y)
    p = outputs(models).astype("float64")
    rows = np.concatenate(p, axis=1)
    if regression:
        expected = stacked.estimator.predict(rows).reshape(60, -1)
    else:
        expected = stacked.estimator.predict_proba(rows)[:, -classes:]
    assert isinstance(stacked.head, keras.layers.Layer)
    called = keras.ops.convert_to_numpy(stacked(X))
    np.testing.assert_allclose(called, expected, rtol=1e-4, atol=1e-5)


def test_a_linear_head_with_its_scaler_is_saved(tmp_path):
    stacked = fit(StackedEnsemble(members(), LINEAR["scaled"]), X, labels(3))
    stacked.save(tmp_path / "s.keras")
    loaded = keras.saving.load_model(tmp_path / "s.keras")
    rows = np.concatenate(outputs(stacked.members).astype("float64"), axis=1)
    expected = stacked.estimator.predict_proba(rows)
    np.testing.assert_allclose(predict(loaded), expected, rtol=1e-4, atol=1e-5)


def test_the_head_that_is_given_stays_unfitted_and_a_second_fit_replaces_the_first():
    given, models, y = LogisticRegression(), members(), labels(3)
    stacked = fit(StackedEnsemble(models, given), X[:40], y[:40])
    first = predict(stacked)
    stacked.fit_predictions(outputs(models), y)
    assert not hasattr(given, "coef_")
    assert not np.allclose(first, predict(stacked))
    fresh = StackedEnsemble(models, given).fit_predictions(outputs(models), y)
    np.testing.assert_allclose(predict(stacked), predict(fresh), rtol=1e-5)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(stacked(X)), predict(fresh), rtol=1e-5)


def test_it_is_fitted_after_a_call_that_came_too_early():
    stacked = StackedEnsemble(members())
    with pytest.raises(ValueError, match="not fitted yet"):
        stacked(X)
    fit(stacked, X, labels(3))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(stacked(X)), predict(stacked), rtol=1e-5)


def test_weights_of_samples_reach_the_last_step_of_a_pipeline():
    models, y, weights = members(), labels(3), rng.random(60)
    head = make_pipeline(StandardScaler(), LogisticRegression())
    stacked = fit(StackedEnsemble(models, head), X, y, sample_weight=weights)
    rows = np.concatenate(outputs(models).astype("float64"), axis=1)
    head.fit(rows, y, logisticregression__sample_weight=weights)
    np.testing.assert_allclose(predict(stacked), head.predict_proba(rows), atol=1e-5)


class Cautious(LogisticRegression):
    """A subclass that answers by another formula than its coefficients'."""

    def predict_proba(self, x):
        return 0.9 * super().predict_proba(x) + 0.05


@pytest.mark.parametrize(
    "head",
    [
        RandomForestClassifier(3, random_state=0),
        PoissonRegressor(),
        Cautious(),
        make_pipeline(PolynomialFeatures(2), LogisticRegression()),
        make_pipeline(MinMaxScaler(clip=True), LogisticRegression()),
    ],
)
def test_other_heads_predict_in_numpy_and_refuse_what_needs_keras(head, tmp_path):
    models, y = members(1), labels(1)
    stacked = fit(StackedEnsemble(models, head), X, y)
    rows = np.concatenate(outputs(models).astype("float64"), axis=1)
    if hasattr(head, "predict_proba"):
        expected = stacked.estimator.predict_proba(rows)[:, 1:]
    else:
        expected = stacked.estimator.predict(rows)[:, None]
    np.testing.assert_allclose(predict(stacked), expected, rtol=1e-5)
    stacked.compile(optimizer=None, loss="mse")
    loss = np.mean((expected - y[:, None]) ** 2)
    assert stacked.evaluate(X, y, verbose=0) == pytest.approx(loss, rel=1e-4)
    (tmp_path / "s.keras").write_text("what was there")
    for use in (
        lambda: stacked(X),
        lambda: stacked.save(tmp_path / "s.keras"),
    ):
        with pytest.raises(ValueError, match="needs a head that is a Keras layer"):
            use()
    assert (tmp_path / "s.keras").read_text() == "what was there"
    with pytest.raises(ValueError, match="not yet been built"):  # Keras's own error
        stacked.save_weights(tmp_path / "s.weights.h5")
    with pytest.raises(ValueError, match="`export` needs a head that is a Keras layer"):
        stacked.export(tmp_path / "s")


def test_a_keras_head_is_trained_and_the_members_are_not(tmp_path):
    models, y = members(), labels(3)
    before = [m.get_weights() for m in models]
    stacked = StackedEnsemble(models, 4)
    with pytest.raises(ValueError, match="call `compile"):
        stacked.fit_predictions(outputs(models), y)
    compile_for_tests(stacked, keras.optimizers.Adam(0.1), metrics=[])
    fit(stacked, X, y, epochs=5, verbose=0, validation_split=0.2)
    assert stacked.history.history["loss"][-1] < stacked.history.history["loss"][0]
    for one, m in zip(before, models, strict=True):
        np.testing.assert_array_equal(one[0], m.get_weights()[0])
    h, k = (layer.get_weights() for layer in stacked.head.layers)
    hidden = np.maximum(np.concatenate(outputs(models), axis=1) @ h[0] + h[1], 0)
    z = np.exp(hidden @ k[0] + k[1])
    np.testing.assert_allclose(predict(stacked), z / z.sum(1, keepdims=True), rtol=1e-4)
    stacked.save(tmp_path / "s.keras")
    loaded = keras.saving.load_model(tmp_path / "s.keras")
    np.testing.assert_allclose(predict(loaded), predict(stacked), rtol=1e-5)
    options = {"epochs": 1, "batch_size": 60, "verbose": 0}
    ours, theirs = (
        m.fit_predictions(outputs(models), y, **options).history.history for m in (stacked, loaded)
    )
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)


def test_a_stacked_network_takes_the_features_of_a_layer(tmp_path):
    models, y = members(), labels(3)
    stacked = fit(StackedEnsemble(models, layer="hidden"), X, y, batch_size=7)
    parts = [np.maximum(X @ m.get_weights()[0] + m.get_weights()[1], 0) for m in models]
    rows = np.concatenate(parts, axis=1).astype("float64")
    scaled = (rows - rows.mean(0)) / np.where(rows.std(0) > 0, rows.std(0), 1)
    expected = LogisticRegression(max_iter=1000).fit(scaled, y).predict_proba(scaled)
    np.testing.assert_allclose(predict(stacked), expected, rtol=1e-3, atol=1e-4)
    stacked.save(tmp_path / "s.keras")
    loaded = keras.saving.load_model(tmp_path / "s.keras")
    np.testing.assert_allclose(predict(loaded), predict(stacked), rtol=1e-5)
    with pytest.raises(ValueError, match="call `fit` with held-out images"):
        stacked.fit_predictions(outputs(models), y)


def several_labels():
    noisy = X + 0.7 * np.random.default_rng(1).normal(size=X.shape)
    return (noisy[:, :3] > [0, 0.3, 0.6]).astype("uint8")


HEADS = [None, LINEAR["scaled"], RandomForestClassifier(3, random_state=0)]


@pytest.mark.parametrize("head", HEADS)
def test_several_labels_are_each_learnt_by_a_classifier(head, tmp_path):
    models, y = members(activation="sigmoid"), several_labels()
    stacked = fit(StackedEnsemble(models, head), X, y)
    rows = np.concatenate(outputs(models).astype("float64"), axis=1)
    head = LogisticRegression() if head is None else head
    each = [clone(head).fit(rows, column) for column in y.T]
    expected = np.stack([one.predict_proba(rows)[:, 1] for one in each], axis=1)
    np.testing.assert_allclose(predict(stacked), expected, rtol=1e-4, atol=1e-5)
    assert len(stacked.estimator) == 3
    if not isinstance(head, RandomForestClassifier):
        stacked.save(tmp_path / "s.keras")
        loaded = keras.saving.load_model(tmp_path / "s.keras")
        np.testing.assert_allclose(predict(loaded), expected, rtol=1e-4, atol=1e-5)
    copied = pickle.loads(pickle.dumps(stacked))
    np.testing.assert_allclose(predict(copied), expected, rtol=1e-4, atol=1e-5)


def test_several_labels_of_features_and_of_a_keras_head():
    models, y = members(activation="sigmoid"), several_labels()
    stacked = fit(StackedEnsemble(models, layer="hidden"), X, y)
    assert predict(stacked).shape == (60, 3)
    assert stacked.head.activation is keras.activations.sigmoid
    stacked = StackedEnsemble(models, 4)
    assert stacked.head.layers[-1].activation is keras.activations.sigmoid
    softmax = compile_for_tests(StackedEnsemble(members(), 4), loss="categorical_crossentropy")
    with pytest.raises(ValueError, match=r"a softmax says one class.*Dense\(3, \"sigmoid\"\)"):
        fit(softmax, X, y)


def test_one_estimator_learns_one_class_and_then_several_labels():
    models = members(activation="sigmoid")
    stacked = StackedEnsemble(models).fit_predictions(outputs(models), labels(3))
    np.testing.assert_allclose(predict(stacked).sum(1), 1, rtol=1e-5)
    stacked.fit_predictions(outputs(models), several_labels())
    fresh = StackedEnsemble(models).fit_predictions(outputs(models), several_labels())
    np.testing.assert_allclose(predict(stacked), predict(fresh), rtol=1e-5)


@pytest.mark.parametrize("head", [None, Ridge(), 4])
def test_samples_of_weight_0_count_for_nothing(head):
    models, counts = members(1), np.arange(60) % 3 > 0
    x, y = np.where(counts[:, None], X, np.nan), np.where(counts, labels(1), -1)
    p = np.where(counts[:, None], outputs(models), np.nan)
    stacked = [StackedEnsemble(models, head) for _ in range(3)]
    options = {"verbose": 0, "shuffle": False} if head == 4 else {}
    for one in stacked if head == 4 else ():
        one.head.set_weights(stacked[0].head.get_weights())
        compile_for_tests(one, "sgd", "binary_crossentropy", metrics=())
    fit(stacked[0], X[counts], labels(1)[counts], **options)
    fit(stacked[1], x, y, sample_weight=counts, **options)
    stacked[2].fit_predictions(p, y, sample_weight=counts, **options)
    for other in stacked[1:]:
        np.testing.assert_allclose(predict(other), predict(stacked[0]), rtol=1e-4)


@pytest.mark.every_backend
@pytest.mark.parametrize("labels_outside", [labels(3) + 1, labels(3) - 1, labels(3) + 0.5])
def test_labels_outside_the_classes_are_refused_before_a_keras_head_is_trained(labels_outside):
    stacked = compile_for_tests(StackedEnsemble(members(), 4))
    before = stacked.head.get_weights()
    with pytest.raises(ValueError, match="`y` must be whole numbers from 0 to 2"):
        fit(stacked, X, labels_outside)
    for one, other in zip(before, stacked.head.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_class_that_the_loss_ignores_is_no_label_outside():
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    stacked = compile_for_tests(StackedEnsemble(members(), 4), loss=loss, metrics=())
    fit(stacked, X, np.where(np.arange(60) % 5, labels(3), -1), verbose=0)
    two = compile_for_tests(StackedEnsemble(members(1), 4), loss="binary_crossentropy")
    with pytest.raises(ValueError, match=r"must lie between 0 and 1 .*; got 2"):
        fit(two, X, labels(1) + 1)


@pytest.mark.parametrize("head", [None, RandomForestClassifier(3, random_state=0), 4])
def test_pickled_and_copied_before_and_after_the_fit(head):
    models, y = [compile_for_tests(m) for m in members()], labels(3)
    stacked = StackedEnsemble(models, head)
    for other in (pickle.loads(pickle.dumps(stacked)), copy.deepcopy(stacked)):
        assert type(other) is StackedEnsemble
        if head != 4:
            fit(other, X, y)
    if head != 4:
        fit(stacked, X, y)
    for other in (pickle.loads(pickle.dumps(stacked)), copy.deepcopy(stacked)):
        np.testing.assert_allclose(predict(other), predict(stacked), rtol=1e-5)
        np.testing.assert_allclose(
            other.evaluate(X, y, verbose=0), stacked.evaluate(X, y, verbose=0), rtol=1e-5
        )
        if head is None:
            np.testing.assert_array_equal(other.estimator.coef_, stacked.estimator.coef_)
            other.fit_predictions(outputs(models), y)


WEIGHTS = np.linspace(0, 2, 60)


class Batches(keras.utils.PyDataset):
    reads = 0

    @property
    def num_batches(self):
        return 5

    def __getitem__(self, i):
        self.reads += 1
        batch = slice(12 * i, 12 * i + 12)
        return X[batch], labels(3)[batch], WEIGHTS[batch]


def test_members_run_once_over_batches_that_hold_labels_and_weights():
    models, batches = members(), Batches()
    stacked = fit(StackedEnsemble(models), batches)
    assert batches.reads <= 6  # Keras looks at the first to learn the shapes
    rows = np.concatenate(outputs(models).astype("float64"), axis=1)
    expected = LogisticRegression().fit(rows, labels(3), WEIGHTS).predict_proba(rows)
    np.testing.assert_allclose(predict(stacked), expected, rtol=1e-4, atol=1e-5)


def test_evaluate_needs_no_compile_when_members_are_compiled():
    models, y = members(), labels(3)
    for m in models:
        compile_for_tests(m)
    stacked = fit(StackedEnsemble(models), X, y)
    loss, accuracy = stacked.evaluate(X, y, verbose=0)
    p = predict(stacked)
    assert loss == pytest.approx(-np.log(p[range(60), y]).mean(), rel=1e-4)
    assert accuracy == pytest.approx(np.mean(p.argmax(1) == y))


def test_samples_that_the_members_saw_are_refused_with_their_number():
    stacked, y = StackedEnsemble(members()), labels(3)
    for seen in (X[:5], fingerprints(X[:5]), (X[:5], y[:5]), np.concatenate([SEEN, X[55:]])):
        with pytest.raises(ValueError, match="of 60 they were trained on 5: call `fit_predictions"):
            stacked.fit(X, y, trained_on=seen)
    with pytest.raises(ValueError, match="of 12 they were trained on 5"):
        stacked.fit(Batches(), trained_on=X[:5])
    assert stacked.estimator is None
    stacked.fit(X, y, trained_on=SEEN)


def test_where_nobody_says_what_the_members_saw_it_warns_once():
    with pytest.warns(UserWarning, match="trained_on=x_train.*on=EnsembleOnDisk") as warned:
        StackedEnsemble(members()).fit(X, labels(3))
    (ours,) = [one for one in warned if one.category is UserWarning]
    assert ours.filename == __file__


def test_a_directory_knows_what_its_members_saw(tmp_path):
    def build():
        return compile_for_tests(member())

    data = {"a": (X[:20], labels(3)[:20]), "b": (X[20:40], labels(3)[20:40])}
    for name, arrays in data.items():
        train_from_seeds(build, arrays, seeds=2, directory=tmp_path / name, verbose=0)
    on_disk = EnsembleOnDisk(tmp_path / "a")
    np.testing.assert_array_equal(on_disk.trained_on, np.sort(fingerprints(X[:20])))
    stacked = StackedEnsemble(on_disk.load().members)
    with pytest.raises(ValueError, match="of 60 they were trained on 20"):
        stacked.fit(X, labels(3), trained_on=on_disk.trained_on)
    stacked.fit(X[20:], labels(3)[20:], trained_on=on_disk.trained_on)
    member().save(tmp_path / "m.keras")
    assert EnsembleOnDisk([tmp_path / "m.keras"]).trained_on is None


@pytest.mark.slow
def test_a_fresh_process_without_scikit_learn_loads_it(tmp_path):
    stacked = fit(StackedEnsemble(members()), X, labels(3))
    stacked.save(tmp_path / "s.keras")
    np.save(tmp_path / "x.npy", X)
    code = """
import sys
sys.modules["sklearn"] = None  # an import of it would fail
import keras, keras_dcnn, numpy as np
import keras_dcnn.ensemble.fusing.stacked_ensemble
model = keras.saving.load_model("s.keras")
np.save("p.npy", model.predict(np.load("x.npy"), verbose=0))
try:
    keras_dcnn.ensemble.fusing.stacked_ensemble.StackedEnsemble(model.members)
except ImportError as error:
    assert 'pip install "keras_dcnn[ensemble]"' in str(error)
else:
    raise SystemExit("no ImportError")
"""
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    run = [sys.executable, "-c", code]
    subprocess.run(run, check=True, cwd=tmp_path, timeout=120, env=environment)
    np.testing.assert_allclose(np.load(tmp_path / "p.npy"), predict(stacked), rtol=1e-5)


def test_validation_data_are_of_the_kind_that_is_fitted_on():
    stacked = StackedEnsemble(members(), 4)
    with pytest.raises(ValueError, match="has no loss and no optimizer"):
        fit(stacked, X, labels(3))
    compile_for_tests(stacked, "sgd", metrics=())
    rows = stacked.predict_members(X)
    for train, given in ((fit, (stacked, X)), (StackedEnsemble.fit_predictions, (stacked, rows))):
        data = (given[1], labels(3))
        train(*given, labels(3), validation_data=data, epochs=1, verbose=0, batch_size=60)
        expected = -np.log(predict(stacked)[range(60), labels(3)]).mean()
        assert stacked.history.history["val_loss"] == pytest.approx([expected], rel=1e-4)
        with pytest.raises(ValueError, match="in `validation_data`, `y` must be whole numbers"):
            train(*given, labels(3), validation_data=(given[1], labels(3) + 1), verbose=0)
    with pytest.raises(ValueError, match="in `validation_data`, `predictions` must be numbers of"):
        stacked.fit_predictions(rows, labels(3), validation_data=Batches(), verbose=0)


def test_an_estimator_that_is_fitted_again_keeps_its_size():
    stacked = StackedEnsemble([member(2, activation="linear")], Lasso(1e-4))
    rows = np.random.default_rng(0).random((1, 12, 2))
    stacked.fit_predictions(rows, rows[0, :, 0])
    with pytest.raises(
        ValueError, match="a layer of 1 outputs when it was fitted first, and has 2"
    ):
        stacked.fit_predictions(rows, rows[0])


def nan_member():
    one = member()
    one.set_weights([np.full_like(w, np.nan) for w in one.get_weights()])
    return one


def maps():
    return keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Conv2D(3, 3)])


NAN = np.full((3, 60, 3), 1 / 3)
NAN[1, 4] = np.nan


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda s: StackedEnsemble([]), ValueError, "at least one model; got none"),
        (lambda s: StackedEnsemble([member(), member(2)]), ValueError, "member 1 .*None, 2"),
        (lambda s: StackedEnsemble([member(), member(inputs=5)]), ValueError, "None, 5"),
        (
            lambda s: StackedEnsemble([member(), "m"]),
            TypeError,
            "member 1 must be a Keras model; got str",
        ),
        (lambda s: StackedEnsemble([maps()]), ValueError, r"must predict \(batch, classes\)"),
        (lambda s: StackedEnsemble(members(), LinearSVC()), ValueError, "have `predict_proba`"),
        (lambda s: StackedEnsemble(members(), "svm"), ValueError, "a number of units or .*'svm'"),
        (
            lambda s: StackedEnsemble(members(), LinearSVC),
            ValueError,
            r"LogisticRegression\(\); got",
        ),
        (lambda s: s.export("s"), ValueError, "not fitted yet"),
        (lambda s: StackedEnsemble(members(), leyer=1), TypeError, "unknown argument `leyer`"),
        (lambda s: predict(s), ValueError, "not fitted yet"),
        (lambda s: s(X), ValueError, "not fitted yet"),
        (lambda s: s.save("s.keras"), ValueError, "not fitted yet"),
        (lambda s: fit(s, X), ValueError, "`y` must be given"),
        (lambda s: fit(s, X, np.full(60, 3)), ValueError, "from 0 to 2.*got 3 for sample 0"),
        (lambda s: fit(s, X, np.arange(60) % 2), ValueError, "class 2 has none"),
        (lambda s: fit(s, X, several_labels()), ValueError, "sum to 1, as of a softmax"),
        (
            lambda s: fit(StackedEnsemble(members(activation="sigmoid")), X, np.ones((60, 3))),
            ValueError,
            "with and without each label; label 0 has none without it",
        ),
        (
            lambda s: fit(StackedEnsemble([member(), nan_member()]), X, labels(3)),
            ValueError,
            "member 1 .* predicts NaN for sample 0",
        ),
        (
            lambda s: s.fit_predictions(NAN, labels(3)),
            ValueError,
            r"`predictions\[1, 4, 0\]` is the first that is NaN",
        ),
        (
            lambda s: s.fit_predictions(NAN[[0, 2]], labels(3)),
            ValueError,
            r"of 3 members and 3 classes; got shape \(2, 60, 3\)",
        ),
        (
            lambda s: s.fit_predictions(NAN[[0, 2, 0]], labels(3)[:9]),
            ValueError,
            "one label for each of 60 samples",
        ),
    ],
)
def test_bad_arguments(use, error, message):
    with pytest.raises(error, match=message):
        use(StackedEnsemble(members()))


def test_it_is_saved_in_keras_own_format_at_home_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    stacked = StackedEnsemble(members(), 4)
    stacked.save("~/s.keras")
    assert (tmp_path / "s.keras").exists()
    with pytest.raises(ValueError, match=r"name it s\.keras"):
        stacked.save(tmp_path / "s.h5")
    with pytest.raises(ValueError, match="`filepath` must be a path"):
        stacked.save("")


def test_double_precision_and_whole_numbers_are_stacked_and_complex_ones_refused():
    def build(dtype):
        x = keras.Input((4,))
        return keras.Model(x, keras.ops.cast(keras.layers.Dense(3, dtype=dtype)(x), dtype))

    wide = "float32" if keras.backend.backend() == "jax" else "float64"  # unless JAX is told
    stacked = fit(StackedEnsemble([build(wide)], layer=None), X, labels(3))
    (rows,) = outputs(stacked.members)
    expected = LogisticRegression().fit(rows.astype("float64"), labels(3)).predict_proba(rows)
    np.testing.assert_allclose(predict(stacked), expected, rtol=1e-5)
    votes = np.stack([np.eye(3, dtype="uint8")[labels(3)]] * 3)
    stacked = StackedEnsemble(members()).fit_predictions(votes, labels(3).astype("uint8"))
    assert stacked.estimator.score(np.concatenate(votes, axis=1), labels(3)) == 1
    with pytest.raises(ValueError, match="got dtype complex128"):
        stacked.fit_predictions(votes + 0j, labels(3))
