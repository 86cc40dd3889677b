"""Which run a directory holds: what tells one run from another, kept as `run.json`."""

import json

from keras_dcnn._files.atomic import write_json

RUN = "run.json"


def begin_run(directory, run, holds_another):
    """Note which run a directory is for, or see that it is that run's; ValueError if not.

    `run` is plain JSON values by what they are of; `holds_another` tells whether a directory
    without a note has files in it that are of something else.
    """
    path = directory / RUN
    if not path.is_file():
        if holds_another:
            raise ValueError(
                f"`directory` must be new, or hold a run to go on with; {directory} holds the "
                f"members of something else, without {RUN}: choose another directory."
            )
        write_json(path, run)
        return
    there = read_json(path)
    if there is None:
        raise ValueError(
            f"`directory` must say which run it holds; {path} is damaged: restore it, or choose "
            "another directory."
        )
    # An earlier version may have noted less, or other things.
    differing = [key for key in run if key in there and run[key] != there[key]]
    if differing:
        texts = "; ".join(_difference(key, run[key], there[key]) for key in differing)
        raise ValueError(
            f"`directory` must hold the same run, to go on with it; that in {directory} differs "
            f"in {texts}: choose another directory."
        )


def read_json(path):
    """The dict in a file; None where it is damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _difference(key, here, there):
    texts = [str(value) for value in (here, there)]
    short = all(len(text) <= 60 and "array " not in text for text in texts)
    return f"its {key} ({texts[1]} there, {texts[0]} here)" if short else f"its {key}"
