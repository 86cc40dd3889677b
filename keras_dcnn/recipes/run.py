"""Run: what a training of `train_classifier` left in its folder."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dcnn._checks import as_path
from keras_dcnn._files.run_folder import HISTORY, REPORT
from keras_dcnn._images.batches import ImageBatches
from keras_dcnn._images.card import data_card
from keras_dcnn._images.errors import ImageFolderError, some_of
from keras_dcnn._images.label_file import list_labels
from keras_dcnn._images.listing import list_folder
from keras_dcnn._images.memory import fits
from keras_dcnn._images.reading import read_all
from keras_dcnn.diagnosis import Finding
from keras_dcnn.diagnosis.finding import plain
from keras_dcnn.recipes._epoch_table import read_history
from keras_dcnn.recipes._evaluation import Evaluation
from keras_dcnn.recipes._images_of_run import read_fingerprints, read_images
from keras_dcnn.recipes._job import IMAGES, probabilities
from keras_dcnn.recipes._pictures import write_report
from keras_dcnn.recipes._scores import Scores
from keras_dcnn.recipes._settings import read_run
from keras_dcnn.recipes._training import Trained
from keras_dcnn.recipes.image_classifier import ImageClassifier
from keras_dcnn.recipes.prediction import Prediction


@dataclass(frozen=True, eq=False)
class Run:
    """What `train_classifier` and `load_run` return: a trained classifier and what is known of it.

    Printed, it says what was decided and how good the classifier is.

    Args:
        folder: Where it lies: `model.keras`, `summary.json`, `report.html`, `history.csv` (of a
            training), `images.csv` and `data.json` (of files), figures.
        model: The `ImageClassifier`.
        summary: What `summary.json` holds: settings, record, scores, findings.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    network = keras_dcnn.models.small_cnn((32, 32, 3), 2, width=4)
    model = keras_dcnn.recipes.ImageClassifier(network, ["cat", "dog"])
    run = keras_dcnn.recipes.Run("runs/first", model, {"record": ["a network of no training."]})
    print(run.predict(np.zeros((40, 40, 3), "uint8"))[0].label)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015).
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
    """

    folder: str | os.PathLike[str]
    model: ImageClassifier
    summary: dict[str, Any]

    @property
    def class_names(self) -> list[str]:
        return self.model.class_names

    def predict(
        self, images: Any, top: int = 3, batch_size: int = 32, skip_unreadable: bool = False
    ) -> list[Prediction]:
        """Name the class of files or images; see `ImageClassifier.classify`."""
        return self.model.classify(images, top, batch_size, skip_unreadable)

    def evaluate(
        self,
        directory: str | os.PathLike[str],
        batch_size: int = 32,
        skip_unreadable: bool = False,
    ) -> dict[str, Any]:
        """Judge the classifier on a folder with a subfolder per class, named as in the training.

        Copies of an image count once.

        Returns:
            Scores as in the summary: accuracy, balanced accuracy and recall with 95 % intervals;
            and `"findings"`, such as that images were trained on.

        Raises:
            ImageFolderError: for classes that the model doesn't know, and files that can't be read.
        """
        found = self.judge(directory, batch_size, skip_unreadable)
        findings = [asdict(plain(one)) for one in found.findings]
        return {**found.scores.as_dict(), "findings": findings}

    def judge(
        self,
        directory: str | os.PathLike[str],
        batch_size: int = 32,
        skip_unreadable: bool = False,
        track: Any = iter,
    ) -> Evaluation:
        """The same with the predictions, and with what was found in the folder."""
        directory = as_path("directory", directory)
        images = list_folder(directory)
        unknown = [name for name in images.class_names if name not in self.class_names]
        if unknown:
            raise ImageFolderError(
                f"{directory} has classes that the model doesn't know: "
                f"{some_of(map(repr, unknown))}; it knows {some_of(map(repr, self.class_names))}."
            )
        reading = self.model.reading
        keep = fits(len(images.files) * reading.size**2 * 3)
        options = {"skip_unreadable": skip_unreadable, "find_bits": False}
        read = read_all(images.files, reading, keep, track, **options)
        if not len(read.readable):
            raise ImageFolderError(f"{directory} holds no image that can be read.")
        labels = images.labels[read.readable]
        first = np.unique(np.stack([read.fingerprints, labels]), axis=1, return_index=True)[1]
        numbers = np.array([self.class_names.index(name) for name in images.class_names])
        y = numbers[labels[first]]
        if keep:
            data = read.pixels[first], y
        else:
            files = [images.files[place] for place in read.readable[first]]
            data = ImageBatches(files, None, reading, batch_size)
        p = probabilities(self.model, data, batch_size)
        card = data_card(directory, images, read, [[], [], first])
        seen = read_fingerprints(as_path("folder", self.folder) / IMAGES)
        parts = [seen.get(one) for one in read.fingerprints[first].tolist()]
        return Evaluation(Scores(y, p, self.class_names, self.model.sure_from), card, parts)

    def export(self, path: str | os.PathLike[str], format: str = "tf_saved_model") -> Path:
        """Write the model for other programs, with cropping and resizing inside.

        `labels.txt`, a class a line, is written beside it. `keras.Model.export` has the formats.
        """
        path = as_path("path", path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.model.export(path, format=format, verbose=False)
        except ImportError as error:
            packages = {"onnx": "tf2onnx onnx", "litert": "ai-edge-litert"}.get(format, format)
            raise ImportError(
                f"{format} needs more packages: pip install {packages} ({error})."
            ) from error
        names = "".join(f"{name}\n" for name in self.class_names)
        (path.parent / "labels.txt").write_text(names, encoding="utf-8")
        return path

    def report(self) -> Path:
        """Write `report.html` anew, by the files that were trained on; returns its path."""
        folder = as_path("folder", self.folder)
        directory, settings = read_run(folder)
        if directory is None:
            raise ValueError(f"{folder} is of a training on arrays: it can't be reported on again.")
        listed, size = list_labels(folder / IMAGES), self.model.image_size
        images = read_images(directory, listed, settings, size, iter)
        findings = [Finding(**one) for one in self.summary["findings"]]
        history = read_history(folder / HISTORY)
        trained = Trained(None, self.summary["strategy"], history, None, None, findings)
        write_report(folder / REPORT, self.model, images, trained, settings, self.summary)
        return folder / REPORT

    def __str__(self) -> str:
        return "\n".join([f"Run in {self.folder}", *self.summary.get("record", [])])
