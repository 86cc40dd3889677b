"""Files of PyTorch, made by hand: what is read of them, and all that is refused unexecuted."""

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from keras_dcnn._files.torch_tensors import read_tensors

NUMBERS = np.arange(12, dtype="<f4")
DATA = NUMBERS.tobytes()
SMALL = (("a", 0, (2, 3), (3, 1)),)


def text(value):
    return b"X" + struct.pack("<i", len(value)) + value.encode()


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(offset, shape, stride, count=12, storage=b"torch\nFloatStorage"):
    """The instructions by which PyTorch writes a tensor."""
    described = text("storage") + b"c" + storage + b"\n" + text("0") + text("cpu") + number(count)
    view = number(offset) + numbers(shape) + numbers(stride)
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n((" + described + b"tQ" + view + hooks + b"tR"


def state_dict(*tensors, **arguments):
    """A pickle of tensors by name, each with its offset, shape and strides."""
    items = (text(name) + tensor(*view, **arguments) + b"s" for name, *view in tensors)
    return b"\x80\x02}" + b"".join(items) + b"."


def zipped(pickled, data=DATA, order=b"little", **arguments):
    """The bytes of a file in the newer format."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **arguments) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", order)
        archive.writestr("archive/data/0", data)
    return file.getvalue()


def in_a_row(pickled, data=DATA, little=True):
    """The bytes of a file in the older format."""
    begin = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": little})
    begin = b"".join(pickle.dumps(one, 2) for one in begin)
    return begin + pickled + pickle.dumps(["0"], 2) + struct.pack("<q", len(data) // 4) + data


FORMATS = pytest.mark.parametrize("written", [zipped, in_a_row])


def read(folder, content):
    path = folder / "file.pth"
    path.write_bytes(content)
    return read_tensors(path)


@FORMATS
def test_views_of_one_storage(written, tmp_path):
    views = [
        ("rows", 0, (3, 4), (4, 1)),
        ("columns", 0, (4, 3), (1, 4)),
        ("every second", 1, (5,), (2,)),
        ("one", 7, (), ()),
        ("none", 0, (0, 3), (3, 1)),
    ]
    found = read(tmp_path, written(state_dict(*views)))
    rows = NUMBERS.reshape(3, 4)
    expected = [rows, rows.T, NUMBERS[1:11:2], NUMBERS[7], np.zeros((0, 3), "f4")]
    assert list(found) == [name for name, *_ in views]
    for array, values in zip(found.values(), expected, strict=True):
        np.testing.assert_array_equal(array, values, strict=True)
        assert not array.flags.writeable or not array.size


class Calls:
    """An object whose pickle calls a function, and then sets attributes of what that returns."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments, state)

    def __reduce__(self):
        return self.reduced

    def __call__(self):
        """Only what can be called may be a function in a pickle."""


def evil(folder):
    """Pickles that would leave a file `executed`, or do what lists no tensors; and what is said."""
    command = f"touch {folder / 'executed'}"
    code = f"open({str(folder / 'executed')!r}, 'w')"
    method = Calls(getattr, "", "format")
    return [
        (pickle.dumps({"a": Calls(os.system, command)}, 2), r"it calls `\w+\.system`"),
        (pickle.dumps({"a": Calls(eval, code)}, 2), r"it calls `__builtin__\.eval`"),
        (pickle.dumps({"a": Calls(method, 1)}, 2), r"it calls `__builtin__\.getattr`"),
        (pickle.dumps(Calls(dict, state={"items": 1}), 2), r"it calls `__builtin__\.dict`"),
        (pickle.dumps({"a": Calls(os.system, command)}, 4), "SHORT_BINUNICODE|FRAME"),
        (b"\x80\x02cos\nsystem\n.", "no dict"),
        (f"(S'{command}'\nios\nsystem\n.".encode(), "STRING"),
        (f"(cos\nsystem\nX{chr(0) * 4}o.".encode(), "instruction OBJ"),
        (b"\x80\x02\x82\x01.", "instruction EXT1"),
        (b"\x80\x02}cos\nsystem\n)\x81s.", "instruction NEWOBJ"),
        (b"\x80\x02ccollections\nOrderedDict\n(]tR.", "it calls `collections.OrderedDict`"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b.", "it sets attributes"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(cos\nsystem\nNNNNNtR.", "without a storage"),
        (b"\x80\x02}(X\x01\x00\x00\x00aK\x01u.", "`a` in it is no tensor"),
        (b"\x80\x02}(K\x01K\x01u.", "a key that is no text"),
        (state_dict(*SMALL, storage=b"os\nsystem"), r"it has numbers of `os\.system`"),
    ]


@FORMATS
def test_nothing_is_executed(written, tmp_path):
    for pickled, said in evil(tmp_path):
        with pytest.raises(ValueError, match=f"nothing else; .*file.pth can't be .*{said}"):
            read(tmp_path, written(pickled))
    assert not (tmp_path / "executed").exists()


@FORMATS
@pytest.mark.parametrize(
    ("offset", "shape", "stride", "count"),
    [
        (7, (2, 3), (3, 1), 12),
        (-1, (2, 3), (3, 1), 12),
        (11, (3,), (-1,), 12),
        (0, (2, -3), (3, 1), 12),
        (0, (2, 3), (3,), 12),
        (0, (10**9,), (0,), 12),
        (0, (10**12, 10**12), (0, 0), 12),
        (0, (2**62,), (2**62,), 12),
        (0, (2, 3), (3, 1), 13),
        (0, (2, 3), (3, 1), -12),
        (0, (2, 3), (3, 1), 2**60),
    ],
)
def test_no_tensor_leaves_its_storage(written, offset, shape, stride, count, tmp_path):
    with pytest.raises(ValueError, match=r"can't be read .*storage 0"):
        read(tmp_path, written(state_dict(("a", offset, shape, stride), count=count)))


@FORMATS
def test_no_part_of_a_file_is_a_file(written, tmp_path):
    content = written(state_dict(*SMALL))
    for length in range(0, len(content), 5):
        with pytest.raises(ValueError, match="can't be read"):
            read(tmp_path, content[:length])


@FORMATS
def test_a_changed_byte_is_refused_or_read(written, tmp_path):
    """Nothing but ValueError comes of it: no other exception, no crash."""
    content = written(state_dict(*SMALL))
    changes = np.random.default_rng(0).integers(1, 256, len(content))
    refused = 0
    for place, change in enumerate(changes):
        changed = bytearray(content)
        changed[place] ^= change
        try:
            found = read(tmp_path, bytes(changed))
        except ValueError:
            refused += 1
        else:
            assert all(array.size <= 12 for array in found.values())
    assert refused > len(content) / 2


def test_other_files_are_refused(tmp_path):
    pickled = state_dict(*SMALL)
    for content, said in [
        (b"", "exhausted"),
        (b"no file of tensors", "can't be read"),
        (2 * pickle.dumps({"a": 1}, 2), "begins otherwise"),
        (zipped(pickled, order=b"big"), "big-endian"),
        (in_a_row(pickled, little=False), "big-endian"),
        (zipped(pickled, compression=zipfile.ZIP_DEFLATED), "compressed"),
        (zipped(pickled).replace(b"data.pkl", b"date.pkl"), "no data.pkl"),
        (zipped(pickled, data=NUMBERS[1:].tobytes()), "storage 0"),
    ]:
        with pytest.raises(ValueError, match=said):
            read(tmp_path, content)
    with pytest.raises(ValueError, match=r"must match its checksum; .*file\.pth"):
        read_tensors(tmp_path / "file.pth", "0" * 64)
