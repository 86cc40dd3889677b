"""load_run: what a training left, from its folder."""

import json
import os

import keras

from keras_dcnn._checks import as_path
from keras_dcnn._files.run_folder import MODEL, SUMMARY, check_ended
from keras_dcnn.recipes.run import Run


def load_run(folder: str | os.PathLike[str]) -> Run:
    """Load what a training left in its folder.

    Args:
        folder: The folder of a run that has ended.

    Returns:
        The `Run`.

    Raises:
        ValueError: for a folder without a run, or with one that has not ended.

    Example:

    ```python
    import keras_dcnn

    try:
        run = keras_dcnn.recipes.load_run("runs/20261127-183000")
    except ValueError as error:
        print(error)  # it has not ended, or there is none
    ```

    Reference:
        Mitchell et al.: Model Cards for Model Reporting (2019). https://arxiv.org/abs/1810.03993
    """
    folder = as_path("folder", folder)
    check_ended(folder)
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return Run(folder, keras.saving.load_model(folder / MODEL), summary)
