"""What members of an ensemble may differ in, and which of them count."""

import copy
import functools
import pickle
import types

import keras
import numpy as np
import pytest
from ensemble.averaged import compile_for_tests

from keras_dcnn.ensemble import Ensemble, EnsembleOnDisk

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
Y = np.arange(6) % 3


def member(activation="softmax", units=3, dtype=None, nan=False, penalty=None):
    dense = keras.layers.Dense(units, activation, dtype=dtype, kernel_regularizer=penalty)
    model = keras.Sequential([keras.Input((4,)), dense])
    if nan:
        model.set_weights([weight * np.nan for weight in model.get_weights()])
    return model


def each(members, x=X):
    return np.stack([keras.ops.convert_to_numpy(m(x)).astype("float64") for m in members])


def predict(model, x=X):
    return model.predict(x, verbose=0)


def test_an_activation_that_is_changed_between_two_predictions():
    members = [member(), member()]
    inside = Ensemble(members)
    around = Ensemble([inside, member()])
    predict(inside), predict(around)
    members[0].layers[0].activation = keras.activations.sigmoid
    np.testing.assert_allclose(predict(inside), each(members).mean(0), atol=1e-6)
    np.testing.assert_allclose(predict(around), each(around.members).mean(0), atol=1e-6)


@pytest.mark.parametrize("kind", ["method", "partial"])
def test_a_call_of_ones_own_belongs_to_one_member(kind):
    def times(factor, model, x, training=None, mask=None):
        return factor * keras.Sequential.call(model, x)

    def own(factor):
        model = member()
        call = functools.partial(times, factor)
        if kind == "method":
            call = types.MethodType(lambda model, x, **_: times(factor, model, x), model)
        else:
            call = functools.partial(times, factor, model)
        model.call = call
        return model

    members = [own(1), own(3)]
    np.testing.assert_allclose(predict(Ensemble(members)), each(members).mean(0), atol=1e-6)


@pytest.mark.every_backend
def test_double_precision_is_kept(backend):
    if backend == "jax":
        pytest.skip("JAX has none unless it is told")
    x = X.astype("float64")
    members = [member(dtype="float64"), member(dtype="float64"), member()]
    ensemble, expected = Ensemble(members, weights=[1, 2, 0]), each(members, x)
    expected = (expected[0] + 2 * expected[1]) / 3
    for found in (predict(ensemble, x), keras.ops.convert_to_numpy(ensemble(x))):
        assert found.dtype == "float64"
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert ensemble.predict_members(x).dtype == "float64"
    ensemble.calibration(x, Y)
    product = np.prod(each(members[:2], x), 0) ** 0.5
    found = predict(Ensemble(members[:2], "geometric"), x)
    np.testing.assert_allclose(found, product / product.sum(1, keepdims=True), rtol=1e-13)


def test_members_of_many_precisions():
    members = [member(dtype=dtype) for dtype in ("float16", "bfloat16", "mixed_float16", "float32")]
    found = predict(Ensemble(members))
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, each(members).mean(0), atol=1e-2)


def test_outputs_that_are_no_real_numbers_are_refused():
    for cast in (lambda x: keras.ops.cast(x, "complex64"), lambda x: keras.ops.argmax(x, -1)):
        x = keras.Input((4,))
        model = keras.Model(x, cast(keras.layers.Dense(3)(x)))
        with pytest.raises(TypeError, match=r"real numbers in floating point; got (complex|int)"):
            Ensemble([model], "logit")


def test_several_labels_are_not_voted_on():
    for combine in ("vote", "geometric"):
        with pytest.raises(ValueError, match=r"ends in 3 sigmoids.*multi-label"):
            Ensemble([member("sigmoid")], combine)
    members = [member("sigmoid"), member("sigmoid")]
    np.testing.assert_allclose(predict(Ensemble(members)), each(members).mean(0), atol=1e-6)


def test_names_of_members(tmp_path):
    one, other = member(), member()
    ensemble = Ensemble({"resnet": one, "vit": other}, weights={"vit": 1, "resnet": 3})
    expected = np.tensordot([0.75, 0.25], each([one, other]), 1)
    np.testing.assert_allclose(predict(ensemble), expected, atol=1e-6)
    assert ensemble.named_members == {"resnet": one, "vit": other}
    ensemble.save(tmp_path / "e.keras")
    loaded = keras.saving.load_model(tmp_path / "e.keras")
    assert list(loaded.named_members) == ["resnet", "vit"]
    np.testing.assert_allclose(predict(loaded.named_members["vit"]), predict(other), atol=1e-6)
    with pytest.raises(ValueError, match="member 1 `bad` predicts NaN"):
        predict(Ensemble({"good": one, "bad": member(nan=True)}))
    with pytest.raises(ValueError, match="have the members' names, resnet, vit; got a"):
        Ensemble({"resnet": one, "vit": other}, weights={"a": 1})
    with pytest.raises(ValueError, match="have the members' names, none"):
        Ensemble([one, other], weights={"a": 1, "b": 2})
    with pytest.raises(TypeError, match="names of `members` must be texts; got 1"):
        Ensemble({1: one})
    with pytest.raises(ValueError, match="have no names"):
        Ensemble([one]).named_members  # noqa: B018


def test_weights_may_be_set_and_are_checked():
    ensemble = Ensemble([member(), member()])
    predict(ensemble)
    ensemble.member_weights = [np.int64(0), np.float32(2)]
    np.testing.assert_allclose(predict(ensemble), predict(ensemble.members[1]), atol=1e-6)
    ensemble.member_weights = [1, -1]
    with pytest.raises(ValueError, match="`member_weights` must be a finite number of at least 0"):
        predict(ensemble)


def test_of_a_member_of_weight_0_nothing_is_asked(backend, tmp_path):
    good = member()
    ensemble = compile_for_tests(Ensemble([member(nan=True), good], weights=[0, 1]), "sgd")
    alone = compile_for_tests(Ensemble([good]), "sgd")
    assert ensemble.evaluate(X, Y, verbose=0) == pytest.approx(alone.evaluate(X, Y, verbose=0))
    found = ensemble.predict_members(X)  # it is still a member
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], predict(good), atol=1e-6)
    if backend == "tensorflow":
        import tensorflow as tf

        ensemble.export(tmp_path / "served", verbose=False)
        loaded = tf.saved_model.load(str(tmp_path / "served"))
        assert len(loaded.variables) == len(good.variables)
        np.testing.assert_allclose(loaded.serve(X), predict(good), atol=1e-6)


@pytest.mark.every_backend
def test_a_member_of_weight_0_adds_no_penalty_to_a_model_around(backend, tmp_path):
    bad, good = member(nan=True, penalty="l2"), member(penalty="l2")
    ensemble = Ensemble([bad, good], weights=[0, 1])
    around = compile_for_tests(keras.Sequential([keras.Input((4,)), ensemble]), "sgd")
    kernel = good.get_weights()[0].astype("float64")
    expected = 0.01 * (kernel**2).sum() - np.log(each([good])[0][range(6), Y]).mean()
    assert around.evaluate(X, Y, verbose=0)[0] == pytest.approx(expected, rel=1e-5)
    assert len(around.get_weights()) == 2  # those that count
    history = around.fit(X, Y, batch_size=6, verbose=0).history
    assert history["loss"] == pytest.approx([expected], rel=1e-5)
    assert np.abs(good.get_weights()[0] - kernel).max() > 0
    ensemble.save(tmp_path / "e.keras")  # all of them
    loaded = keras.saving.load_model(tmp_path / "e.keras")
    assert np.isnan(loaded.members[0].get_weights()[0]).all()
    ensemble.member_weights = [1, 1]
    assert len(around.get_weights()) == 4


def test_a_file_of_weight_0_may_be_missing(tmp_path):
    model = member()
    model.save(tmp_path / "0.keras")
    files = [tmp_path / "0.keras", tmp_path / "missing.keras"]
    ensemble = EnsembleOnDisk(files, weights=[2, 0])
    np.testing.assert_allclose(predict(ensemble), predict(model), atol=1e-6)
    files = {"one": files[0], "other": files[1]}
    with pytest.warns(UserWarning, match="left out"):  # noqa: SIM117
        with pytest.raises(ValueError, match=r"all that count of .* are damaged"):
            EnsembleOnDisk(files, weights={"one": 0, "other": 1}, damaged="skip")


def test_names_of_members_on_disk(tmp_path):
    members = [member(), member(nan=True), member("linear")]
    paths = [tmp_path / f"{i}.keras" for i in range(3)]
    for model, path in zip(members, paths, strict=True):
        model.save(path)
    files = {"resnet": paths[0], "gone": tmp_path / "gone.keras", "bad": paths[1]}
    with pytest.warns(UserWarning, match="left out"):
        ensemble = EnsembleOnDisk(files, damaged="skip")
    assert list(ensemble.load().named_members) == ["resnet", "bad"]
    with pytest.raises(ValueError, match=r"member 1 `bad`, .*1\.keras, predicts NaN"):
        predict(ensemble)
    ensemble = EnsembleOnDisk(files, weights={"bad": 0, "gone": 0, "resnet": 1})
    np.testing.assert_allclose(predict(ensemble), predict(members[0]), atol=1e-6)
    with pytest.raises(ValueError, match=r"the member .*2\.keras ends in a linear layer"):
        EnsembleOnDisk(paths)
    with pytest.raises(ValueError, match="member 1 `b` ends in a linear layer"):
        Ensemble({"a": members[0], "b": members[2]})


def own_loss(y, p):
    return keras.ops.mean(p)


class OwnSGD(keras.optimizers.SGD):
    pass


def test_what_an_ensemble_is_compiled_with():
    model = member()
    model.compile("sgd", own_loss)
    with pytest.warns(UserWarning, match="not compiled .*own_loss"):
        ensemble = Ensemble([model])
    with pytest.raises(ValueError, match="the ensemble is not compiled: call `compile"):
        ensemble.evaluate(X, Y, verbose=0)
    model.compile(OwnSGD(0.1), "sparse_categorical_crossentropy")  # no optimizer is needed
    expected = -np.log(each([model])[0][range(6), Y]).mean()
    found = Ensemble([model]).evaluate(X, Y, verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_dict_of_one_output_is_judged():
    x = keras.Input((4,))
    models = [keras.Model(x, {"y": keras.layers.Dense(3, "softmax")(x)}) for _ in range(2)]
    found = Ensemble(models).calibration(X, Y)["probability"]
    p = np.mean([model.predict(X, verbose=0)["y"] for model in models], axis=0)
    assert found.accuracy == pytest.approx((p.argmax(1) == Y).mean())


@pytest.mark.every_backend
@pytest.mark.parametrize("whole", [True, False])
def test_samples_of_weight_0_may_be_nan(backend, whole):
    """The loss is the mean over all samples, as Keras takes it."""
    x = X.copy()
    x[1] = np.nan
    weight = np.array([1.0, 0, 2, 1, 1, 1]) if whole else np.array([[1.0], [0], [2], [1], [1], [1]])
    members = [member(), member()]
    ensemble = compile_for_tests(Ensemble(members), "sgd")
    found = ensemble.evaluate(x, Y, sample_weight=weight, verbose=0, return_dict=True)
    kept = [0, 2, 3, 4, 5]
    p = each(members).mean(0)[kept, Y[kept]]
    expected = (-np.log(p) * weight.ravel()[kept]).sum() / 6
    np.testing.assert_allclose(found["loss"], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="predicts NaN for sample 1"):
        ensemble.evaluate(x, Y, sample_weight=np.ones(6), verbose=0)


def test_pickles_and_copies(tmp_path):
    members = [member(), member()]
    for i, model in enumerate(members):
        model.save(tmp_path / f"{i}.keras")
    files = [tmp_path / "0.keras", tmp_path / "1.keras"]
    for ensemble in (
        compile_for_tests(Ensemble(members, weights=[1, 3]), "sgd"),
        compile_for_tests(EnsembleOnDisk(files, weights=[1, 3]), None),
    ):
        expected, loss = predict(ensemble), ensemble.evaluate(X, Y, verbose=0)
        for copied in (copy.deepcopy(ensemble), pickle.loads(pickle.dumps(ensemble))):
            np.testing.assert_allclose(predict(copied), expected, atol=1e-6)
            assert copied.evaluate(X, Y, verbose=0) == pytest.approx(loss)


def test_where_an_ensemble_is_saved(tmp_path):
    ensemble = Ensemble([member()])
    with pytest.raises(ValueError, match=r"own format.*name it e\.keras"):
        ensemble.save(tmp_path / "e.h5")
    with pytest.raises(ValueError, match="`filepath` must be a path"):
        ensemble.save("")
    for files in ("", [""]):
        with pytest.raises(ValueError, match="`files` must be a path"):
            EnsembleOnDisk(files)
    with pytest.raises(TypeError, match="a directory, a list of files or a dict of names; got int"):
        EnsembleOnDisk(3)
