"""The arguments of the command; no Keras is imported for them."""

import argparse
import difflib
import re

from keras_dcnn._images.pixels import MAX_PIXELS
from keras_dcnn._version import __version__

_HIGHEST = 2**31 - 3  # a seed and the two after it have 31 bits
OURS = ("auto", "small_cnn", "lite0", "lite1", "lite2")
# Of keras.applications, which is not imported for this.
_NAMES = """
    ConvNeXtBase ConvNeXtLarge ConvNeXtSmall ConvNeXtTiny ConvNeXtXLarge DenseNet121
    DenseNet169 DenseNet201 EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3
    EfficientNetB4 EfficientNetB5 EfficientNetB6 EfficientNetB7 EfficientNetV2B0
    EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 EfficientNetV2L EfficientNetV2M
    EfficientNetV2S InceptionResNetV2 InceptionV3 MobileNet MobileNetV2 MobileNetV3Large
    MobileNetV3Small NASNetLarge NASNetMobile ResNet101 ResNet101V2 ResNet152 ResNet152V2
    ResNet50 ResNet50V2 VGG16 VGG19 Xception
"""
APPLICATIONS = _NAMES.split()
STRATEGIES = ("auto", "probe", "few_layers", "all_layers", "probe_then_all")
IMBALANCE = ("auto", "none", "adjust", "loss", "oversample")
COMBINE = ("averaging", "checkpoints", "cycles", "none")
MODELS = (".keras", ".h5", ".hdf5")
FORMATS = {"saved_model": "tf_saved_model", "onnx": "onnx", "litert": "litert"}
_SUFFIXES = {"onnx": ".onnx", "litert": ".tflite"}
_CODES = (
    "Exit code 0: done; 1: done, but look: a model of no use, files that can't be read (doctor: "
    "anything found); 2: an error; 130: stopped by Ctrl-C."
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with what was perhaps meant."""

    def error(self, message):
        unknown = re.match(r"(?s)(.*invalid choice: )'(.*?)' \(choose from (.*)\)", message)
        if unknown:
            start, given, choices = unknown.groups()
            near = difflib.get_close_matches(given, re.findall(r"[\w.-]+", choices), 3, 0.5)
            meant = f"; did you mean {' or '.join(near)}?" if near else ""
            message = f"{start}{given!r}{meant}"
        self.exit(2, f"keras-dcnn: {message} ({self.prog} --help)\n")


def parser():
    """The `argparse.ArgumentParser`."""
    whole = _Parser(
        prog="keras-dcnn",
        description="Train a classifier of your images, look at it, use it.",
        epilog=_CODES,
    )
    whole.add_argument("--version", action="version", version=f"keras-dcnn {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name, text, **more):
        return commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", epilog=_CODES, **more
        )

    _add_train(add("train", "train on a folder of images, a subfolder per class"))
    _add_evaluate(add("evaluate", "judge a trained classifier on another folder of images"))
    _add_predict(add("predict", "name the class of image files"))
    _add_report(add("report", "write the report of a run anew"))
    _add_export(add("export", "write the model for other programs"))
    _add_preview(add("preview", "draw images of a folder as augmentation changes them"))
    _add_stats(add("stats", "mean, deviation and eigenpairs of the colours of a folder, as JSON"))
    _add_doctor(add("doctor", "say what is wrong with curves, a model, or the installation"))
    _add_demo(
        add("demo", "train on handwritten digits over photographs, plainly and with the parts")
    )
    return whole


def _add_train(train):
    train.add_argument(
        "directory",
        nargs="?",
        type=_path("DIR"),
        metavar="DIR",
        help="a subfolder per class; or train, val, test of such",
    )
    train.add_argument(
        "--resume", type=_path("RUN"), metavar="RUN", help="go on with the run that was interrupted"
    )
    train.add_argument(
        "--labels",
        type=_path("CSV"),
        metavar="CSV",
        help="files and labels, in place of subfolders",
    )
    train.add_argument(
        "--network",
        choices=[*OURS, *APPLICATIONS],
        default="auto",
        metavar="NAME",
        help="lite0, lite1, lite2, small_cnn, or one of keras.applications (auto)",
    )
    train.add_argument(
        "--weights", type=_path("FILE"), metavar="FILE", help="weights of the network"
    )
    train.add_argument("--image-size", type=_whole(8), metavar="N", help="side in pixels (auto)")
    train.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default="auto",
        metavar="S",
        help=f"{', '.join(STRATEGIES)}",
    )
    train.add_argument(
        "--imbalance",
        choices=IMBALANCE,
        default="auto",
        metavar="I",
        help=f"{', '.join(IMBALANCE)}",
    )
    train.add_argument(
        "--combine", choices=COMBINE, default="averaging", metavar="C", help=f"{', '.join(COMBINE)}"
    )
    train.add_argument(
        "--learning-rate",
        type=_rate,
        default="auto",
        metavar="R",
        help="a number, or finder (auto)",
    )
    train.add_argument("--batch-size", type=_whole(1), default=32, metavar="N", help="(32)")
    train.add_argument(
        "--no-augmentation",
        dest="augmentation",
        action="store_const",
        const=None,
        default="standard",
        help="train on the images as they are",
    )
    train.add_argument(
        "--no-flip",
        dest="flip",
        action="store_false",
        help="don't mirror, as for digits and letters",
    )
    train.add_argument(
        "--background",
        type=_colour,
        default=(255, 255, 255),
        metavar="COLOUR",
        help="behind what is transparent (white)",
    )
    train.add_argument(
        "--max-pixels",
        type=_whole(1),
        default=MAX_PIXELS,
        metavar="N",
        help="of the largest file that is read (179 million)",
    )
    train.add_argument(
        "--skip-unreadable", action="store_true", help="go on without files that can't be read"
    )
    train.add_argument("--compare", action="store_true", help="train plainly as well, and compare")
    _add_run(train)


def _add_run(command):
    command.add_argument("--epochs", type=_whole(1), metavar="N", help="of a training (auto)")
    command.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="(0)")
    command.add_argument(
        "--output", type=_path("RUN"), metavar="RUN", help="run folder (runs/<time>)"
    )


def _add_run_folder(command):
    command.add_argument("run", type=_path("RUN"), metavar="RUN", help="folder of a run")


def _add_evaluate(evaluate):
    _add_run_folder(evaluate)
    evaluate.add_argument(
        "directory",
        type=_path("DIR"),
        metavar="DIR",
        help="a subfolder per class, named as in the training",
    )
    evaluate.add_argument("--json", action="store_true", help="print JSON")


def _add_predict(predict):
    _add_run_folder(predict)
    predict.add_argument(
        "files", nargs="+", type=_path("FILE"), metavar="FILE", help="images, or folders of images"
    )
    predict.add_argument(
        "--top", type=_whole(1), default=3, metavar="K", help="classes that are named (3)"
    )
    predict.add_argument("--csv", type=_path("FILE"), metavar="FILE", help="write a CSV file")
    predict.add_argument("--json", action="store_true", help="print JSON")


def _add_report(report):
    _add_run_folder(report)


def _add_export(export):
    _add_run_folder(export)
    export.add_argument(
        "--format", choices=[*FORMATS], default="saved_model", metavar="F", help=", ".join(FORMATS)
    )
    export.add_argument(
        "--output",
        type=_path("PATH"),
        metavar="PATH",
        help="where to write (in the folder of the run)",
    )


def export_path(arguments):
    """Where an export goes."""
    name = f"exported{_SUFFIXES.get(arguments.format, '')}"
    return arguments.output or arguments.run / name


def _add_preview(preview):
    preview.add_argument("directory", type=_path("DIR"), metavar="DIR", help="folder of images")
    preview.add_argument(
        "--output", type=_path("PNG"), metavar="PNG", help="the picture (preview.png)"
    )
    preview.add_argument(
        "--image-size", type=_whole(8), default=128, metavar="N", help="side in pixels (128)"
    )
    preview.add_argument("--no-flip", dest="flip", action="store_false", help="don't mirror")
    preview.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="(0)")


def _add_stats(stats):
    stats.add_argument("directory", type=_path("DIR"), metavar="DIR", help="folder of images")
    stats.add_argument(
        "--image-size",
        type=_whole(8),
        default=64,
        metavar="N",
        help="side that they are resized to, in pixels (64)",
    )


def _add_doctor(doctor):
    doctor.add_argument(
        "files",
        nargs="*",
        type=_path("FILE"),
        metavar="FILE",
        help="a history (CSV, or a folder of TensorBoard) or a model (.keras)",
    )
    doctor.add_argument(
        "--data",
        type=_path("DIR"),
        metavar="DIR",
        help="images to try the model on, a subfolder per class in alphabetical order",
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")


def _add_demo(demo):
    _add_run(demo)


def _path(name):
    from pathlib import Path

    def path(text):
        if not text.strip() or "\0" in text:
            raise argparse.ArgumentTypeError(f"{name} must be a path; got {text!r}")
        return Path(text)

    return path


def _whole(minimum):
    def number(text):
        if not text.isdecimal() or not minimum <= int(text) <= _HIGHEST:
            rule = f"a whole number from {minimum} to {_HIGHEST}"
            raise argparse.ArgumentTypeError(f"must be {rule}; got {text!r}")
        return int(text)

    return number


def _rate(text):
    if text in ("auto", "finder"):
        return text
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, auto or finder; got {text!r}")
    return rate


def _colour(text):
    from keras_dcnn._images.formats import pillow

    try:
        return pillow("ImageColor").getrgb(text)[:3]
    except (ImportError, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f"must be such as white or #e0e0e0; got {text!r}"
        ) from error
