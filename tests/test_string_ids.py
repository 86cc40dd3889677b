"""Parts by their string ids, in layers, where Keras looks in tables of its own."""

import keras
import pytest
from cases import cases


@pytest.mark.parametrize(
    "case", cases("initializer", "constraint", "regularizer"), ids=lambda case: case.part.__name__
)
def test_string_id(case):
    role = next(iter(case.tags & {"initializer", "constraint", "regularizer"}))
    name = f"keras_dcnn>{case.part.__name__}"
    assert keras.saving.get_registered_name(case.part) == name
    layer = keras.layers.Dense(3, **{f"kernel_{role}": name})
    layer.build((None, 4))
    part = getattr(layer, f"kernel_{role}")
    assert type(part) is case.part
    assert part.get_config() == case.part().get_config()
    if role != "initializer":
        assert getattr(layer.kernel, role) is part
    again = keras.layers.Dense.from_config(layer.get_config())
    assert type(getattr(again, f"kernel_{role}")) is case.part
