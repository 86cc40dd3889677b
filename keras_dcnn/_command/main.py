"""The command keras-dcnn: `demo` on embedded data, `train` on a folder of one's own, `doctor`."""

import argparse
import contextlib
import sys
import time
from pathlib import Path

import keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    track,
)
from rich.table import Table

from keras_dcnn._checks import as_path
from keras_dcnn._command.comparison import ComparisonError, Data, compare
from keras_dcnn._command.doctor import DoctorError, doctor
from keras_dcnn._command.findings import print_findings
from keras_dcnn.datasets import image_folder, photo_digits
from keras_dcnn.diagnosis import Finding

_MENDED = ImportError, MemoryError, image_folder.ImageFolderError, ComparisonError, DoctorError
_HIGHEST = 2**31 - 3  # a seed and the two after it have 31 bits


def main(argv=None):
    """Run the command; returns the exit code: 0, 1 for findings, 2 for what the user can mend."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "doctor":
            return doctor(arguments.files, arguments.data, arguments.json)
        _run(arguments)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except _MENDED as error:
        return _fail(str(error) or "the memory is full")
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="keras-dcnn",
        description="Train a small CNN twice, plain and with the tutorial's parts, and compare; "
        "or say what is wrong with a training, a model or the installation.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="on handwritten digits over photographs, embedded")
    train = commands.add_parser("train", help="on your folder of images, a subfolder per class")
    train.add_argument("directory", type=_path("DIR"), metavar="DIR", help="the folder of images")
    train.add_argument(
        "--image-size", type=_whole(8), default=64, metavar="N", help="side in pixels (64)"
    )
    for command in (demo, train):
        command.add_argument(
            "--output", type=_path("RUN"), metavar="RUN", help="run folder (runs/<time>)"
        )
        command.add_argument(
            "--epochs", type=_whole(1), default=20, metavar="N", help="of each training (20)"
        )
        command.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="(0)")
    _add_doctor(commands)
    return parser


def _add_doctor(commands):
    doctor = commands.add_parser(
        "doctor",
        help="what is wrong with curves, a model, or the installation",
        description="Say what is wrong with the curves of a training, with a model or, without a "
        "file, with the installation. Exit code 0: healthy; 1: findings; 2: can't be read.",
    )
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


def _path(name):
    def path(text):
        try:
            return as_path(name, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return path


def _whole(minimum):
    def number(text):
        if not text.isdecimal() or not minimum <= int(text) <= _HIGHEST:
            rule = f"a whole number from {minimum} to {_HIGHEST}"
            raise argparse.ArgumentTypeError(f"must be {rule}; got {text!r}")
        return int(text)

    return number


def _fail(message):
    print(f"keras-dcnn: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _run(arguments):
    folder = arguments.output or Path("runs", time.strftime("%Y%m%d-%H%M%S"))
    data = _load_demo(arguments) if arguments.command == "demo" else _load_folder(arguments, folder)
    print(
        f"{len(data.train[1])} images to train on, {len(data.validation[1])} to validate, "
        f"{len(data.test[1])} to test; {len(data.class_names)} classes"
    )
    with _run_folder(folder), _progress(arguments.epochs * 2) as callback:
        mirror = arguments.command == "train"
        summary = compare(data, folder, arguments.epochs, arguments.seed, mirror, callback)
    _print_table(summary)
    print_findings(Finding(**one) for one in summary["parts"]["findings"])
    print(f"Written to {folder}: ensemble.keras, history.csv, training.png, summary.json")


def _load_demo(arguments):
    parts = photo_digits.load_data(seed=arguments.seed)
    return Data(*parts, [str(digit) for digit in range(photo_digits.NUM_CLASSES)])


def _load_folder(arguments, folder):
    directory = arguments.directory
    if directory.resolve() in folder.resolve().parents:
        raise image_folder.ImageFolderError(
            f"the run folder {folder} would lie in {directory} and count as a class: choose "
            "another with --output."
        )

    def show(files):
        return track(files, "reading images", transient=True)

    return Data(*image_folder.load_data(directory, arguments.image_size, arguments.seed, show))


@contextlib.contextmanager
def _run_folder(folder):
    """Make the run folder; take it away again if the block fails before writing to it."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(17, "the run folder is not empty: choose another", str(folder))
    probe = folder / ".writable"  # asked now, not after minutes of training
    probe.touch()
    probe.unlink()
    try:
        yield
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()


@contextlib.contextmanager
def _progress(epochs):
    """One bar over both trainings; yields what makes the callback of a run."""
    bar = Progress(
        TextColumn("{task.description:<52}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("epochs"),
        TimeElapsedColumn(),
    )
    task = bar.add_task("compiling", total=epochs)

    def callback(run):
        def show(epoch, logs):
            text = f"{run}: loss {logs['loss']:.3f}, validation accuracy {logs['val_accuracy']:.3f}"
            bar.update(task, advance=1, description=text)

        return keras.callbacks.LambdaCallback(on_epoch_end=show)

    with bar:
        yield callback


def _print_table(summary):
    plain, parts = summary["plain"], summary["parts"]
    table = Table(title=f"Test accuracy, seed {summary['seed']}, {summary['epochs']} epochs each")
    for column in ("", "clean", f"colour cast (σ {summary['color_cast']})", "seconds"):
        table.add_column(column, justify="right" if column else "left")
    for name, accuracy, seconds in (
        ("plain", plain["accuracy"], plain["seconds"]),
        ("with the parts, last epoch", parts["accuracy"], parts["seconds"]),
        (f"best single of {len(parts['members'])} members", parts["best_member"], None),
        ("their ensemble", parts["ensemble"], None),
    ):
        cells = [f"{100 * value:.1f} %" for value in accuracy.values()]
        table.add_row(name, *cells, f"{seconds:.0f}" if seconds else "")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
