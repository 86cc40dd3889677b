"""A folder of images that holds what folders of users hold."""

import numpy as np
from PIL import Image


def photograph(rng, base, size=(40, 30)):
    """Noise about a colour, which two classes can be told apart by."""
    pixels = rng.normal(base, 25, (*size[::-1], 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))


def make_plain(folder, counts, size=(24, 20)):
    """Two or more classes that differ in colour: {name: number of images}."""
    rng = np.random.default_rng(0)
    for k, (name, count) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True)
        base = [(200, 60, 60), (60, 60, 200), (60, 200, 60)][k % 3]
        for number in range(count):
            photograph(rng, base, size).save(folder / name / f"{number:03}.png")
    return folder


def make_odd(folder):
    """Sub-subfolders, dangling links, formats, copies, transparency, 12 bits; all can be read."""
    rng = np.random.default_rng(1)
    for name, base in (("red", (200, 60, 60)), ("blue", (60, 60, 200))):
        for number in range(8):
            place = folder / name / ("deep/er" if number % 2 else "")
            place.mkdir(parents=True, exist_ok=True)
            photograph(rng, base).save(place / f"{number}.{'jpg' if number % 3 else 'png'}")
    (folder / "grey").mkdir()
    for number in range(7):
        levels = rng.integers(0, 4096, (20, 20)).astype("uint16")
        Image.fromarray(levels).save(folder / "grey" / f"{number}.png")
    (folder / "red" / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "red" / "phone.heic").write_bytes(b"no pixels")
    (folder / "red" / "notes.txt").write_text("about them")
    (folder / "blue" / "._0.png").write_bytes(b"of macOS")
    with Image.open(folder / "red" / "0.png") as first:
        first.save(folder / "red" / "copy.png")
    with Image.open(folder / "blue" / "0.png") as first:
        first.save(folder / "blue" / "same.png")
        first.save(folder / "red" / "blue.png")
    hidden = np.zeros((30, 30, 4), "uint8")
    hidden[..., 1] = 255
    Image.fromarray(hidden).save(folder / "red" / "transparent.png")
    photograph(rng, (200, 60, 60)).save(folder / "stray.png")
    return folder
