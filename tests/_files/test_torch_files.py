"""Files that PyTorch writes are read as PyTorch reads them."""

import keras
import numpy as np
import pytest

from keras_dcnn._files.torch_tensors import read_tensors

pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch is the oracle"),
]


@pytest.mark.parametrize("is_new", [True, False])
def test_as_pytorch_reads_them(is_new, tmp_path):
    import torch

    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    base = torch.arange(24)
    tensors = module.state_dict()
    tensors.update(
        {str(kind): base.to(kind) for kind in (torch.float64, torch.float16, torch.bfloat16)},
        **{str(kind): base.to(kind) for kind in (torch.int32, torch.int16, torch.int8)},
        **{"bytes": base.to(torch.uint8), "flags": base % 3 == 0, "none": torch.zeros(0, 2)},
        **{"view": base.reshape(2, 3, 4)[:, 1:].permute(2, 0, 1), "base": base},
    )
    path = tmp_path / "file.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=is_new)
    found, expected = read_tensors(path), torch.load(path, weights_only=True)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert str(tensor.dtype) == f"torch.{found[name].dtype}"
        np.testing.assert_array_equal(found[name].astype("float64"), tensor.double().numpy())
        assert found[name].shape == tuple(tensor.shape)


def test_what_pytorch_would_change_in_reading_is_refused(tmp_path):
    import torch

    path = tmp_path / "file.pth"
    for value in (
        torch.nn.Linear(2, 2),
        {"a": torch.nn.Parameter(torch.zeros(2))},
        {"a": torch.zeros(2, dtype=torch.complex64)},
        {"a": torch.zeros(2), "epoch": 3},
    ):
        torch.save(value, path)
        with pytest.raises(ValueError, match="can't be read as one"):
            read_tensors(path)
