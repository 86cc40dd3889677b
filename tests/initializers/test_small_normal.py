"""SmallNormal: N(0, stddev²), whatever the shape."""

import keras
import pytest
from fans import check_normal

from keras_dcnn.initializers import SmallNormal


@pytest.mark.parametrize("shape", [(20_000,), (3, 3, 40, 50), (100, 200)])
@pytest.mark.parametrize("stddev", [0.001, 0.3])
def test_variance(shape, stddev):
    w = keras.ops.convert_to_numpy(SmallNormal(stddev, seed=0)(shape))
    check_normal(w.astype("float64"), stddev**2)


@pytest.mark.parametrize("stddev", [0, -1, float("nan"), "small"])
def test_bad_stddev(stddev):
    with pytest.raises(ValueError, match="`stddev` must be a finite number above 0"):
        SmallNormal(stddev)
