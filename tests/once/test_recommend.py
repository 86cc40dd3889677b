"""recommend: the tutorial's table, with thresholds that are given, and a text that says why."""

import copy
import pickle

import numpy as np
import pytest

from keras_dcnn.fine_tuning.recommend import recommend
from keras_dcnn.fine_tuning.recommendation import Recommendation
from keras_dcnn.fine_tuning.similarity import Similarity


@pytest.mark.parametrize(
    ("num_samples", "similarity", "strategy", "layers", "share"),
    [
        (200, "similar", "probe", "last", 0),
        (200, "different", "probe", "all", 0),
        (200, "cannot tell", "probe", "all", 0),
        (10_000, "similar", "few_layers", "last", 1 / 3),
        (10_000, "different", "probe_then_all", "last", 1),
        (10_000, "cannot tell", "probe_then_all", "last", 1),
    ],
)
def test_table(num_samples, similarity, strategy, layers, share):
    advice = recommend(num_samples, 10, similarity)
    assert (advice.strategy, advice.layers, advice.share_trained) == (strategy, layers, share)
    head, network, decay = advice.rates
    if share:
        assert network == pytest.approx(head * decay)
        assert 0 < network < head < 1e-2
    else:
        assert advice.rates == (None, None, None)
    assert similarity in str(advice)
    assert strategy in str(advice)
    assert "None" not in str(advice)
    assert len(str(advice).splitlines()) == 1 + len(advice.reasons) + len(advice.watch)


def test_little_is_by_class_or_in_all_and_both_can_be_given():
    def strategies(*sizes, **thresholds):
        return [recommend(n, 100, "similar", **thresholds).strategy for n in sizes]

    assert strategies(2000, 2001) == ["probe", "few_layers"]
    assert strategies(np.int64(500), little_per_class=1, little_in_all=499) == ["few_layers"]
    assert strategies(500, 501, little_per_class=5, little_in_all=0) == ["probe", "few_layers"]
    assert strategies(500, 501, little_per_class=0, little_in_all=500) == ["probe", "few_layers"]


def test_what_was_measured_is_the_reason():
    measured = Similarity(
        *("different", "the last layer makes more errors", -0.3, 1.5),
        *(("a", "b"), (0.8, 0.6), ((0.7, 0.9), (0.5, 0.7)), 100, 5),
    )
    advice = recommend(100, 5, measured)
    assert advice.layers == "all"
    assert "different: the last layer makes more errors" in advice.reasons
    assert pickle.loads(pickle.dumps(advice)) == copy.deepcopy(advice) == advice
    assert isinstance(advice, Recommendation)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_samples": 2.5}, "`num_samples` must be a whole number of at least 3; got 2.5"),
        ({"num_samples": 2}, "`num_samples` must be a whole number of at least 3; got 2"),
        ({"num_classes": 1}, "`num_classes` must be a whole number of at least 2; got 1"),
        (
            {"similarity": "near"},
            "must be one of 'similar', 'different', 'cannot tell'; got 'near'",
        ),
        ({"similarity": None}, "must be one of 'similar'.*; got None"),
        ({"little_per_class": -1}, "`little_per_class` must be .* at least 0; got -1"),
        ({"little_in_all": "few"}, "`little_in_all` must be .* at least 0; got 'few'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        recommend(**{"num_samples": 60, "num_classes": 3, "similarity": "similar", **arguments})
