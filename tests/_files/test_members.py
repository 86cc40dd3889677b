"""Members on disk: what is listed is found."""

import pytest

from keras_dcnn._files.atomic import write_json
from keras_dcnn._files.members import (
    DamagedMemberError,
    listed_members,
    read_manifest,
)


@pytest.mark.once
@pytest.mark.parametrize(
    "text", ['{"members": [', "[]", "{}", '{"members": [1]}', '{"members": [{"file": "a"}]}']
)
def test_a_broken_manifest_is_named(tmp_path, text):
    with pytest.raises(ValueError, match=r"in a directory with a manifest\.json; .* has none"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text(text)
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
