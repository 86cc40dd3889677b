"""The command keras-dcnn: `demo` on embedded data, `train` on a folder of one's own."""

import argparse
import contextlib
import sys
import time
from pathlib import Path


def main(argv=None):
    """Run the command; returns the exit code: 0, or 2 for what the user can mend."""
    arguments = _parser().parse_args(argv)
    try:
        _run(arguments)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (ImportError, _user_error()) as error:
        return _fail(str(error))
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="keras-dcnn",
        description="Train a small CNN twice, plain and with the tutorial's parts, and compare.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="on handwritten digits over photographs, embedded")
    train = commands.add_parser("train", help="on your folder of images, a subfolder per class")
    train.add_argument("directory", type=Path, metavar="DIR", help="the folder of images")
    train.add_argument(
        "--image-size", type=_whole(8), default=64, metavar="N", help="side in pixels (64)"
    )
    for command in (demo, train):
        command.add_argument("--output", type=Path, metavar="RUN", help="run folder (runs/<time>)")
        command.add_argument(
            "--epochs", type=_whole(1), default=20, metavar="N", help="of each training (20)"
        )
        command.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="(0)")
    return parser


def _whole(minimum):
    def number(text):
        if not text.isdigit() or int(text) < minimum:
            raise argparse.ArgumentTypeError(f"must be a whole number ≥ {minimum}; got {text!r}")
        return int(text)

    return number


def _user_error():
    from keras_dcnn.datasets.image_folder import ImageFolderError

    return ImageFolderError


def _fail(message):
    print(f"keras-dcnn: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _run(arguments):
    folder = arguments.output or Path("runs", time.strftime("%Y%m%d-%H%M%S"))
    _make_run_folder(folder)
    from keras_dcnn._comparison import Data, compare

    if arguments.command == "demo":
        from keras_dcnn.datasets import photo_digits

        parts = photo_digits.load_data(seed=arguments.seed)
        data = Data(*parts, [str(digit) for digit in range(10)])
    else:
        data = Data(*_load_folder(arguments))
    print(
        f"{len(data.train[1])} images to train on, {len(data.validation[1])} to validate, "
        f"{len(data.test[1])} to test; {len(data.class_names)} classes"
    )
    with _progress(arguments.epochs * 2) as callback:
        summary = compare(
            data,
            folder,
            arguments.epochs,
            arguments.seed,
            mirror=arguments.command == "train",
            callback=callback,
        )
    _print_table(summary)
    print(f"Written to {folder}: ensemble.keras, history.csv, training.png, summary.json")


def _make_run_folder(folder):
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(17, "the run folder is not empty: choose another", str(folder))
    probe = folder / ".writable"  # asked now, not after minutes of training
    probe.touch()
    probe.unlink()


def _load_folder(arguments):
    from rich.progress import track

    from keras_dcnn.datasets import image_folder

    return image_folder.load_data(
        arguments.directory,
        arguments.image_size,
        arguments.seed,
        track=lambda files: track(files, "reading images", transient=True),
    )


@contextlib.contextmanager
def _progress(epochs):
    """One bar over both trainings; yields what makes the callback of a run."""
    import keras
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

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
    from rich.console import Console
    from rich.table import Table

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
