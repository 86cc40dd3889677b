"""Files of tensors that PyTorch wrote, read into NumPy: no PyTorch, and nothing is executed.

Both of its formats: a zip archive with a pickle in it, and the row of pickles from before 1.6.
"""

import hashlib
import io
import math
import struct
import zipfile

import numpy as np

from keras_dcnn._files.pickled_tensors import StoredTensor, unpickle

_BEGINNING = [0x1950A86A20F9469CFC6C, 1001]  # of the older format: what it is, its version
_BROKEN = (
    *(ValueError, LookupError, TypeError, OverflowError),
    # of the archive: damaged, cut off, encrypted
    *(zipfile.BadZipFile, struct.error, EOFError, RuntimeError),
)


def read_tensors(path, checksum=None):
    """The tensors of a state dict by name, as arrays that can't be written to.

    Raises ValueError where the file is not that of the checksum (SHA-256, in hexadecimal), is
    damaged, or has anything else in it.
    """
    content = path.read_bytes()
    if checksum is not None and hashlib.sha256(content).hexdigest() != checksum:
        raise ValueError(
            f"a known file must match its checksum; {path} is damaged or was changed: install its "
            "package anew."
        )
    try:
        tensors, data = (_zipped if content.startswith(b"PK") else _in_a_row)(content)
        return {
            name: _view_of(tensor, data[tensor.storage.key]) for name, tensor in tensors.items()
        }
    except _BROKEN as error:
        raise ValueError(
            f"a file of weights must have tensors by name in it and nothing else; {path} can't be "
            f"read as one ({error}): write it with torch.save(model.state_dict(), path)."
        ) from error


def _zipped(content):
    """The tensors, and the bytes of each storage: PyTorch writes them uncompressed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        plain = all(member.compress_type == zipfile.ZIP_STORED for member in members)
        if not plain or sum(member.file_size for member in members) > len(content):
            raise ValueError("its members are compressed")
        pickle = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if pickle is None:
            raise ValueError("it has no data.pkl")
        root = pickle.removesuffix("data.pkl")
        if f"{root}byteorder" in archive.namelist():
            _check_byte_order(archive.read(f"{root}byteorder") == b"little")
        tensors = _state_dict(unpickle(io.BytesIO(archive.read(pickle))))
        keys = {tensor.storage.key for tensor in tensors.values()}
        return tensors, {key: archive.read(f"{root}data/{key}") for key in keys}


def _in_a_row(content):
    """The same of the older format: five pickles, then a count and the numbers of each storage."""
    file = io.BytesIO(content)
    if [unpickle(file), unpickle(file)] != _BEGINNING:
        raise ValueError("it begins otherwise")
    _check_byte_order(unpickle(file)["little_endian"] is True)
    tensors = _state_dict(unpickle(file))
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    data = {}
    for key in map(_text, unpickle(file)):
        file.seek(8, io.SEEK_CUR)  # the count, which the pickle has too
        data[key] = file.read(storages[key].count * storages[key].dtype.itemsize)
    return tensors, data


def _check_byte_order(is_little):
    if not is_little:
        raise ValueError("it was written big-endian")


def _text(key):
    if not isinstance(key, str):
        raise ValueError("a storage has no name")
    return key


def _state_dict(value):
    """The tensors by name; ValueError for another value, or for one that has more in it."""
    if not isinstance(value, dict):
        raise ValueError(f"it holds a {type(value).__name__} and no dict")
    for name, tensor in value.items():
        if not isinstance(tensor, StoredTensor):
            raise ValueError(f"`{name}` in it is no tensor")
    return value


def _view_of(tensor, data):
    """The view of the bytes of a storage that a tensor is; ValueError where it would leave them."""
    (dtype, key, count), offset, shape, stride = tensor
    whole = len(data) == count * dtype.itemsize
    numbers = [count, offset, *shape, *stride]
    natural = all(type(number) is int and number >= 0 for number in numbers)
    if not whole or not natural or len(shape) != len(stride):
        raise ValueError(f"storage {key} is not as its tensor says")
    if 0 in shape:
        return np.empty(shape, dtype)
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if last >= count or math.prod(shape) > count:
        raise ValueError(f"a tensor is greater than its storage {key}")
    numbers = np.frombuffer(data, dtype)[offset:]
    steps = [step * dtype.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(numbers, shape, steps, writeable=False)
