"""The values of variables, put back at the end of a block or where it fails."""

import keras
import numpy as np
import pytest

from keras_dcnn._state.snapshot import variables_kept


@pytest.mark.parametrize("only_on_error", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_values_come_back_always_or_on_errors_only(only_on_error, fails):
    variable = keras.Variable([1.0, 2.0])
    try:
        with variables_kept([variable], only_on_error):
            variable.assign([3.0, 4.0])
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fails
    kept = fails or not only_on_error
    expected = [1.0, 2.0] if kept else [3.0, 4.0]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), expected)
