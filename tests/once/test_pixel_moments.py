"""PixelMoments: NumPy's mean and covariance from any split, the same bits for 8-bit images."""

import functools
import itertools
import json
import operator
import pickle
import time

import ml_dtypes  # noqa: F401  gives NumPy its bfloat16
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dcnn.layers import FancyPCA
from keras_dcnn.statistics import PixelMoments

RESULTS = ("mean", "variance", "minimum", "maximum", "covariance")


def random_images(count=14, seed=0, dtype="uint8", shape=(6, 5, 3)):
    """Images whose channels differ and are correlated."""
    rng = np.random.default_rng(seed)
    x = rng.normal(40, 12, (count, *shape)) + rng.normal(0, 15, (count, *shape[:2], 1))
    return (x * np.arange(1, shape[2] + 1) / shape[2]).clip(-128, 127).astype(dtype)


def assert_same_bits(one, other):
    assert one.count == other.count
    for name in RESULTS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def assert_equals_numpy(moments, rows, rtol=1e-11):
    rows = rows.astype("float64")
    assert moments.count == len(rows)
    expected = np.atleast_2d(np.cov(rows.T, bias=True))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(moments.covariance, expected, rtol=rtol, atol=rtol * scale)
    shape = moments.shape
    np.testing.assert_allclose(moments.mean, rows.mean(0).reshape(shape), rtol=1e-12)
    np.testing.assert_allclose(moments.variance.ravel(), np.diag(moments.covariance), rtol=1e-12)
    np.testing.assert_array_equal(moments.minimum, rows.min(0).reshape(shape))
    np.testing.assert_array_equal(moments.maximum, rows.max(0).reshape(shape))


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([1, 2, 7]).flatmap(lambda n: st.permutations(range(n))),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["uint8", "int8", "int32", "bfloat16", "float32", "float64"]),
    st.sampled_from(["channel", "dimension"]),
)
def test_equals_numpy_for_one_two_and_seven_shards_in_any_order(order, seed, dtype, per):
    x = random_images(seed=seed, dtype=dtype)
    shards = [PixelMoments(per).update(part) for part in np.array_split(x, len(order))]
    merged = functools.reduce(operator.add, [shards[i] for i in order])
    assert merged.shape == ((3,) if per == "channel" else (6, 5, 3))
    assert_equals_numpy(merged, x.reshape(-1, 3) if per == "channel" else x.reshape(len(x), -1))
    whole = PixelMoments(per).update_from(x, batch_size=3)
    if dtype in ("uint8", "int8"):
        assert_same_bits(merged, whole)
        tree = functools.reduce(PixelMoments.merge, shards, PixelMoments(per))
        assert_same_bits(tree, whole)


@pytest.mark.parametrize("extreme", ["uint8", "int8"])
@pytest.mark.parametrize("shape", [(250, 201, 1), (250, 201, 3), (125, 201, 5), (30, 41, 100)])
def test_many_pixels_of_extreme_value_stay_exact(extreme, shape):
    """More rows than one float32 block holds, all at the ends of the range."""
    info = np.iinfo(extreme)
    rng = np.random.default_rng(0)
    x = rng.choice([info.min, info.min, info.min, info.max], shape).astype(extreme)
    rows = x.reshape(-1, shape[-1]).astype("int64")
    n, s, products = len(rows), rows.sum(0), rows.T @ rows
    exact = [[(n * int(p) - int(a) * int(b)) / n**2 for p, b in zip(row, s, strict=True)]
             for row, a in zip(products, s, strict=True)]  # fmt: skip
    np.testing.assert_allclose(
        PixelMoments().update(x[None]).covariance, exact, rtol=1e-14, atol=1e-12
    )


def test_sums_beyond_the_whole_numbers_of_float64_and_beyond_all():
    one = PixelMoments().update(random_images())
    doubled = functools.reduce(lambda moments, _: moments + moments, range(35), one)
    expected = [[int(p) * (2**35 + 1) for p in row] for row in one._sums.second]
    assert max(map(max, expected)) > 2**53
    assert (doubled + one)._sums.second.tolist() == expected
    np.testing.assert_allclose(doubled.covariance, one.covariance, rtol=1e-14)
    with pytest.raises(ValueError, match=r"at most 2\*\*47 rows"):
        functools.reduce(lambda moments, _: moments + moments, range(10), doubled)


def test_float_moments_keep_their_digits_far_from_zero():
    x = 1e6 + np.random.default_rng(0).normal(size=(10, 10, 10, 3))
    assert_equals_numpy(PixelMoments().update_from(x, batch_size=3), x.reshape(-1, 3), rtol=1e-6)


def test_without_covariance_all_else_is_the_same():
    x = random_images(shape=(6, 5, 4))
    for per, dtype in itertools.product(("channel", "dimension"), ("uint8", "float32")):
        plain = PixelMoments(per, covariance=False).update(x.astype(dtype))
        full = PixelMoments(per).update(x.astype(dtype))
        for name in RESULTS[:-1]:
            np.testing.assert_allclose(getattr(plain, name), getattr(full, name), rtol=1e-12)
        with pytest.raises(ValueError, match="was not kept"):
            _ = plain.covariance


def test_mean_image_of_large_images():
    x = np.random.default_rng(0).integers(0, 256, (3, 400, 500, 3), dtype="uint8")
    mean = PixelMoments("dimension", covariance=False).update_from(x).mean
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-12)


def test_channels_first_single_images_and_vectors():
    x = random_images()
    whole = PixelMoments().update(x)
    first = PixelMoments(data_format="channels_first")
    assert_same_bits(first.update(np.moveaxis(x, -1, 1)), whole)
    assert_same_bits(PixelMoments().update_from(list(x)), whole)
    vectors = PixelMoments("dimension").update_from(x.reshape(14, -1))
    assert vectors.shape == (90,)
    images = PixelMoments("dimension").update_from(list(x), batch_size=4)
    np.testing.assert_array_equal(vectors.covariance, images.covariance)


def test_images_of_many_sizes_per_channel():
    a, b = random_images(shape=(6, 5, 3)), random_images(shape=(9, 2, 3))
    moments = PixelMoments().update_from([a[0], b[0], b])
    assert_equals_numpy(moments, np.concatenate([x.reshape(-1, 3) for x in (a[0], b[0], b)]))


def test_parts_stay_as_they_were():
    a, b = (PixelMoments().update(random_images(seed=seed)) for seed in (0, 1))
    before = pickle.dumps((a, b))
    both = a + b + PixelMoments()
    both.update(random_images())
    (PixelMoments() + a).merge(b)
    assert pickle.dumps((a, b)) == before
    assert len(before) < 2000


@pytest.mark.parametrize("suffix", [".json", ".npz"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
@pytest.mark.parametrize(("per", "covariance"), [("channel", True), ("dimension", False)])
def test_saved_and_loaded_it_goes_on(tmp_path, suffix, dtype, per, covariance):
    x = random_images(dtype=dtype)
    path = tmp_path / f"moments{suffix}"
    moments = PixelMoments(per, covariance).update(x[:5])
    moments.save(path)
    loaded = PixelMoments.load(path)
    assert pickle.dumps(loaded.update(x[5:])) == pickle.dumps(moments.update(x[5:]))
    assert list(tmp_path.iterdir()) == [path]


def test_foreign_and_damaged_files(tmp_path):
    good = tmp_path / "good.json"
    PixelMoments().update(random_images()).save(good)
    state = json.loads(good.read_text())
    bad = {
        "empty.json": "",
        "list.json": "[]",
        "other.json": "{}",
        "less.json": json.dumps({k: v for k, v in state.items() if k != "low"}),
        "shape.json": json.dumps({**state, "shape": [4]}),
        "floats.json": json.dumps({**state, "first": [0.5, 1.5, 2.5]}),
        "nan.json": json.dumps({**state, "low": [float("nan")] * 3}),
        "count.json": json.dumps({**state, "count": 0}),
        "per.json": json.dumps({**state, "per": "image"}),
        "text.npz": "PK",
    }
    for name, text in bad.items():
        (tmp_path / name).write_text(text)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "pickle.npz", header=np.array({}, object))
    for name in [*bad, "other.npz", "pickle.npz"]:
        with pytest.raises(ValueError, match=r"must come from PixelMoments\.save; got '.*" + name):
            PixelMoments.load(tmp_path / name)
    with pytest.raises(ValueError, match=r"must end in \.json or \.npz"):
        PixelMoments().update(random_images()).save(tmp_path / "moments.pkl")
    with pytest.raises(FileNotFoundError):
        PixelMoments.load(tmp_path / "none.json")


def test_a_covariance_larger_than_the_memory_is_refused_at_once(monkeypatch):
    x = np.zeros((1, 600, 700, 3), "uint8")
    with pytest.raises(ValueError, match=r"1260000 dimensions.*70971\.3 GiB, .*covariance=False"):
        PixelMoments("dimension").update(x)
    monkeypatch.delattr("os.sysconf", raising=False)  # Windows has none
    with pytest.raises(MemoryError):  # more than can be addressed
        PixelMoments("dimension").update(np.zeros((1, 3000, 3000, 3), "uint8"))


def test_progress_bar_on_long_passes_on_a_terminal_only(monkeypatch, capfd):
    late, clock = [0.0], time.monotonic
    monkeypatch.setattr("time.monotonic", lambda: clock() + late[0])

    def shown(terminal, seconds):
        """What is on the screen, where each of seven batches takes that long."""

        def batches():
            for batch in random_images().reshape(7, 2, 6, 5, 3):
                late[0] += seconds
                yield batch

        monkeypatch.setenv("TTY_COMPATIBLE", str(terminal))
        PixelMoments().update_from(batches())
        out, err = capfd.readouterr()
        assert out == ""
        return err

    assert "measuring the images" in shown(terminal=1, seconds=0.5)
    assert shown(terminal=1, seconds=0) == ""
    assert shown(terminal=0, seconds=0.5) == ""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PixelMoments("pixel"), "`per` must be one of 'channel', 'dimension'; got 'pixel'"),
        (lambda: PixelMoments(covariance=1), "`covariance` must be True or False; got 1"),
        (lambda: PixelMoments(data_format="last"), "`data_format` must be one of"),
        (lambda: PixelMoments().update(np.zeros((3, 3))), r"three axes.*got shape \(3, 3\)"),
        (lambda: PixelMoments("dimension").update(np.zeros(3)), r"or vectors; got shape \(3,\)"),
        (lambda: PixelMoments().update_from(np.zeros((1, 2, 2, 3)), 0), "`batch_size` must be"),
        (lambda: PixelMoments().mean, "at least one image; got none"),
        (lambda: PixelMoments().update(np.zeros((0, 2, 2, 3))).mean, "at least one image"),
        (lambda: PixelMoments().save("moments.json"), "at least one image"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("per", "images", "message"),
    [
        ("channel", np.zeros((2, 2, 4), "uint8"), r"3 channels on axis -1.*got shape \(2, 2, 4\)"),
        ("dimension", np.zeros((5, 6, 3), "uint8"), r"shape \(6, 5, 3\); got .*5, 6, 3\)"),
        ("channel", np.zeros((6, 5, 3)), "got both uint8 and float64: cast them"),
        ("channel", np.zeros((6, 5, 3), "int8"), "got both uint8 and int8: cast them"),
    ],
)
def test_refused_images_change_nothing(per, images, message):
    moments = PixelMoments(per).update(random_images())
    before = pickle.dumps(moments)
    with pytest.raises(ValueError, match=message):
        moments.update_from([images])
    with pytest.raises(ValueError, match=r"to merge|got both"):
        moments.merge(PixelMoments("dimension").update(images))
    assert pickle.dumps(moments) == before


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_must_be_finite_numbers(value):
    moments = PixelMoments()
    with pytest.raises(ValueError, match="finite; got NaN or infinity"):
        moments.update(np.full((2, 2, 3), value))
    assert moments.count == 0
    with pytest.raises(TypeError, match="must be real numbers; got str32"):
        moments.update(np.full((2, 2, 3), "a"))
    with pytest.raises(TypeError, match="only PixelMoments merge; got int"):
        moments.merge(3)
    with pytest.raises(TypeError, match="unsupported operand"):
        _ = moments + 3


def test_adapt_takes_moments_of_the_right_kind_only():
    x = random_images()
    one, other = FancyPCA(), FancyPCA()
    one.adapt(x)
    other.adapt(PixelMoments().update(x[:4]) + PixelMoments().update(x[4:]))
    assert (one.eigenvalues, one.eigenvectors) == (other.eigenvalues, other.eigenvectors)
    for moments, message in [
        (PixelMoments("dimension").update(x), r"adapt of `.*`: .*got per='dimension'"),
        (PixelMoments().update(x[..., :1]), r"mean of shape \(3,\); got .* shape \(1,\)"),
        (PixelMoments(covariance=False).update(x), "was not kept"),
        (PixelMoments(), "at least one image"),
    ]:
        with pytest.raises(ValueError, match=message):
            FancyPCA().adapt(moments)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what a cluster leaves open at its end
def test_shards_on_a_dask_cluster_give_the_same_bits(tmp_path):
    pytest.importorskip("distributed")
    import dask.bag
    from distributed import Client, LocalCluster

    x = random_images(count=12)
    files = [tmp_path / f"{i}.npy" for i in range(4)]
    for file, share in zip(files, np.split(x, [1, 5, 6]), strict=True):
        np.save(file, share)
    local = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    with LocalCluster(**local, local_directory=tmp_path) as cluster, Client(cluster):
        parts = dask.bag.from_sequence(files, npartitions=3).map(np.load)
        moments = parts.map(lambda images: PixelMoments().update(images)).fold(operator.add)
        moments = moments.compute()
    assert_same_bits(moments, PixelMoments().update_from(x))
    layer, whole = FancyPCA(), FancyPCA()
    layer.adapt(moments)
    whole.adapt(x)
    assert layer.eigenvalues == whole.eigenvalues


def test_sum_and_grey_images():
    x = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype="uint8")
    parts = [PixelMoments().update(x[i::3]) for i in range(3)]
    whole = PixelMoments().update(x)
    np.testing.assert_array_equal(sum(parts).covariance, whole.covariance)
    for data in ((x, np.zeros(9)), {"images": x, "labels": np.zeros(9)}):
        again = PixelMoments().update_from(data)
        np.testing.assert_array_equal(again.covariance, whole.covariance)
    with pytest.raises(ValueError, match=r"1 to 4 channels.*give grey images a channel axis"):
        PixelMoments().update_from([np.zeros((64, 28, 28), "uint8")])
    with pytest.raises(TypeError, match="got str"):
        PixelMoments().update_from("images/")
