"""The command from its arguments to its exit code; Keras is imported when there is work for it."""

import contextlib
import errno
import logging
import os
import re
import sys
import tempfile
import warnings

from keras_dcnn._command.arguments import MODELS, parser
from keras_dcnn._files.run_folder import (
    HISTORY,
    REPORT,
    RunFolderError,
    check_ended,
    holds_ended_run,
    run_folder,
)
from keras_dcnn._files.runs import RUN, read_json
from keras_dcnn._images.label_file import list_labels
from keras_dcnn._images.listing import list_folder

DONE, ERROR, STOPPED = 0, 2, 130
_OF_MEMORY = "RESOURCE_EXHAUSTED", "ResourceExhausted", "out of memory"  # of each backend
_shown = set()


def main(argv=None, begin=lambda: None):
    """Run the command; `begin` imports Keras and all of the package."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # "→" where a terminal has no such letter
    arguments = _parsed(argv)
    place = []
    try:
        return _run(arguments, begin, place)
    except KeyboardInterrupt:
        return _stopped(place)
    except BrokenPipeError:  # of `| head`, which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        message = _in_words(error, place)
        if message is None:
            raise
        return _fail(message)


def _parsed(argv):
    whole = parser()
    arguments = whole.parse_args(argv)
    given = [getattr(arguments, name, None) for name in ("directory", "resume")]
    if arguments.command == "train" and given.count(None) != 1:
        whole.error("train needs a folder of images, DIR, or --resume RUN, and not both")
    return arguments


def _run(arguments, begin, place):
    if arguments.command in ("train", "demo"):
        resume = getattr(arguments, "resume", None)
        if resume is not None and holds_ended_run(resume):
            print(f"the run in {resume} has ended: look at {resume / REPORT}")
            return DONE
        _check_directory(arguments)
        with run_folder(resume or arguments.output, resume is not None) as folder:
            place.append(folder)
            return _begun(begin).train(arguments, folder)
    _check(arguments)
    return getattr(_begun(begin), arguments.command)(arguments)


def _check_directory(arguments):
    """What can be said of the images before anything is made."""
    directory = getattr(arguments, "directory", None)
    if directory is None:
        return
    output = arguments.output
    if output is not None and directory.resolve() in output.resolve().parents:
        raise RunFolderError(
            f"the run folder {output} would lie in {directory} and count as a class: choose "
            "another with --output."
        )
    if arguments.labels:
        list_labels(arguments.labels, directory)
    else:
        list_folder(directory)


def _check(arguments):
    run = getattr(arguments, "run", None)
    if run is not None:
        check_ended(run, f"keras-dcnn train --resume {run}")
    if arguments.command in ("evaluate", "preview", "stats"):
        list_folder(arguments.directory)
    files = getattr(arguments, "files", [])
    missing = [one for one in files if not one.exists()]
    if missing and (arguments.command == "doctor" or missing == files):
        raise FileNotFoundError(2, "no such file", str(missing[0]))
    data, files = (getattr(arguments, name, None) for name in ("data", "files"))
    if data is not None and any(file.suffix in MODELS for file in files):
        list_folder(data)


def _begun(begin):
    """The commands, with Keras behind them, whose libraries say nothing of themselves."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _silent_libraries():
        begin()
        from keras_dcnn._command import commands

        commands.begin_devices()
    warnings.showwarning = _show_warning
    return commands


@contextlib.contextmanager
def _silent_libraries():
    """Keep back what C++ code writes to the terminal; shown where the import fails."""
    try:
        number = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # of a test, or none
        yield
        return
    sys.stderr.flush()
    kept = os.dup(number)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), number)
        try:
            yield
        except Exception:
            os.dup2(kept, number)
            said.seek(0)
            os.write(number, said.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, number)
            os.close(kept)


def _show_warning(message, category, filename, lineno, file=None, line=None):
    """In one line; of those that differ in numbers alone, as by the epoch, the first."""
    text = " ".join(str(message).split())
    kind = re.sub("[0-9,.]+", "", text)
    if kind not in _shown:
        _shown.add(kind)
        print(f"warning: {text}", file=sys.stderr)


_OPTIONS = {
    "skip_unreadable=True": "--skip-unreadable",
    "max_pixels=": "--max-pixels ",
    "choose another run folder": "choose another with --output",
    "resume it": "go on with it by --resume",
}


def _fail(message):
    """In one line, with the options in place of Python's arguments."""
    for name, option in _OPTIONS.items():
        message = message.replace(name, option)
    print(f"keras-dcnn: {' '.join(message.split())}", file=sys.stderr)
    return ERROR


def _in_words(error, place):
    """What went wrong, for what the user can mend; None for a mistake of ours."""
    text = str(error)
    if isinstance(error, OSError) and error.filename:
        text = f"{error.filename}: {error.strerror}"
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in text:  # h5py's has none
        again = _how_to_go_on(place)
        return f"the disk is full ({text}){f': free some of it; {again}' if again else ''}"
    if any(mark in text for mark in _OF_MEMORY) or (isinstance(error, MemoryError) and not text):
        return "the memory is full: give a smaller --batch-size or --image-size"
    return text if isinstance(error, (OSError, ImportError, MemoryError, ValueError)) else None


def _stopped(place):
    again = _how_to_go_on(place)
    print(f"\nkeras-dcnn: stopped{f'; {again}' if again else ', nothing is kept'}", file=sys.stderr)
    return STOPPED


def _how_to_go_on(place):
    """What a run's folder keeps, and the command that goes on; None where there is nothing."""
    if not place or not (place[0] / RUN).is_file():
        return None
    folder = place[0]
    if (read_json(folder / RUN) or {}).get("data") == "arrays":
        return None
    history = folder / HISTORY
    epochs = len(history.read_text().splitlines()) - 1 if history.is_file() else 0
    kept = f"{epochs} epochs" if epochs else "its beginning"
    return f"{folder} keeps {kept}: go on with keras-dcnn train --resume {folder}"
