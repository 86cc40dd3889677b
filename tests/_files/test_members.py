"""Members on disk: what is listed is found, and each is made anew as it was."""

import keras
import numpy as np
import pytest

from keras_dcnn._files.atomic import write_json
from keras_dcnn._files.members import (
    DamagedMemberError,
    listed_members,
    read_architecture,
    read_manifest,
    write_architecture,
    write_member,
    write_other_architecture,
)
from keras_dcnn.ensemble import EnsembleOnDisk

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


def test_a_layer_that_was_changed_between_two_members(tmp_path):
    hidden = keras.layers.Dense(8, "relu")
    model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(3, "softmax")])
    entries, expected = [], []
    for i, activation in enumerate(("relu", "tanh", "relu")):
        hidden.activation = keras.activations.get(activation)
        architecture = write_other_architecture(model, tmp_path)
        entries.append(write_member(model, tmp_path / f"{i}.weights.h5") | architecture)
        expected.append(keras.ops.convert_to_numpy(model(X)))
    write_json(tmp_path / "manifest.json", {"members": entries})
    found = EnsembleOnDisk(tmp_path).predict_members(X)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    files = {path.name for path in tmp_path.glob("architecture*")}
    assert files == {"architecture.json", "architecture-1.json"}


def test_an_architecture_with_an_infinite_number_is_written(tmp_path):
    """Regression: "Out of range float values are not JSON compliant", after an epoch."""
    relu = keras.layers.ReLU(max_value=float("inf"))
    model = keras.Sequential([keras.Input((4,)), relu, keras.layers.Dense(3)])
    write_architecture(model, tmp_path / "architecture.json")
    config, _ = read_architecture(tmp_path / "architecture.json")
    assert keras.saving.deserialize_keras_object(config).layers[0].max_value == float("inf")


@pytest.mark.once
def test_a_broken_architecture_is_named(tmp_path):
    for text in (None, '{"module": '):
        if text:
            (tmp_path / "architecture.json").write_text(text)
        with pytest.raises(DamagedMemberError, match=r"architecture\.json can't be read"):
            read_architecture(tmp_path / "architecture.json")


@pytest.mark.once
@pytest.mark.parametrize(
    "text", ['{"members": [', "[]", "{}", '{"members": [1]}', '{"members": [{"file": "a"}]}']
)
def test_a_broken_manifest_is_named(tmp_path, text):
    with pytest.raises(ValueError, match=r"in a directory with a manifest\.json; .* has none"):
        read_manifest(tmp_path)
    with pytest.raises(ValueError, match="away is not there: correct the path"):
        read_manifest(tmp_path / "away")
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"manifest\.json is a file: correct the path"):
        read_manifest(tmp_path / "manifest.json")
    with pytest.raises(DamagedMemberError, match=r"manifest\.json can't be read"):
        listed_members(tmp_path)


@pytest.mark.once
def test_what_a_manifest_lists(tmp_path):
    entries = [
        {"file": "a.weights.h5", "sha256": "1"},
        {"file": "b", "sha256": "2", "architecture": "c.json", "trained_on": "d.npy"},
    ]
    write_json(tmp_path / "manifest.json", {"epochs": 3, "members": entries})
    assert read_manifest(str(tmp_path))["epochs"] == 3
    assert listed_members(tmp_path) == [
        (tmp_path / "a.weights.h5", "1", tmp_path / "architecture.json", None),
        (tmp_path / "b", "2", tmp_path / "c.json", tmp_path / "d.npy"),
    ]
