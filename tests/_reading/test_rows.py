"""Arrays as `fit` takes them: what is refused, and in which words."""

import numpy as np
import pytest

from keras_dcnn._reading.rows import as_arrays, check_lengths

X, Y = np.zeros((3, 2)), np.arange(3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, Y.astype(str)), "`y` must be numbers; .* dtype <U21: number the classes"),
        ((X.astype(str), Y), "`x` must be numbers; .*: give samples of one shape, texts as num"),
        ((X.astype(object), Y), "`x` must be numbers; .* dtype object: give samples of one shape"),
    ],
)
def test_what_is_no_numbers(data, message):
    with pytest.raises(ValueError, match=message):
        as_arrays(data)


def test_arrays_of_other_lengths():
    with pytest.raises(ValueError, match="got `x` 2 and 3, `y` 3: give one row of each"):
        check_lengths({"x": [X, X[:2]], "y": Y})
