"""The scaling of pixels that networks of keras.applications need."""

import keras
import numpy as np
import pytest

from keras_dcnn.recipes._network import scaled

pytestmark = pytest.mark.every_backend


@pytest.mark.parametrize("name", ["resnet", "mobilenet_v2", "densenet", "efficientnet", "vgg16"])
def test_it_is_that_of_keras_and_can_be_saved(name, tmp_path):
    preprocess = getattr(keras.applications, name).preprocess_input
    images = keras.Input((4, 4, 3))
    keras.Model(images, scaled(images, preprocess)).save(tmp_path / "scaled.keras")
    model = keras.saving.load_model(tmp_path / "scaled.keras")
    x = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("float32")
    expected = np.asarray(preprocess(x.copy()))
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-3)
