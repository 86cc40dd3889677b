"""Run folders: one run each, locked, taken up where it was interrupted."""

import subprocess
import sys
import time

import pytest

from keras_dcnn._files import run_folder as module
from keras_dcnn._files.run_folder import RunFolderError, run_folder


def test_two_runs_in_one_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda _: "20261127-183000")
    with run_folder() as first, run_folder() as second:
        (first / "run.json").touch()
        (second / "run.json").touch()
    assert [first.name, second.name] == ["20261127-183000", "20261127-183000-2"]
    assert first.is_dir()
    assert second.is_dir()


def test_a_second_run_in_it_is_refused_before_the_first_wrote_anything(tmp_path):
    path = tmp_path / "run"
    refused = pytest.raises(RunFolderError, match="another process")
    with run_folder(path), refused, run_folder(path):
        pass


HOLD = """
import pathlib, sys, keras_dcnn_command
keras_dcnn_command._package_not_begun()  # without Keras
from keras_dcnn._files.run_folder import run_folder
with run_folder(pathlib.Path(sys.argv[1])) as path:
    (path / "run.json").write_text("{}")
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_of_another_process_holds_and_goes_when_it_is_killed(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], **pipes)
    assert process.stdout.readline().strip() == b"held"
    with pytest.raises(RunFolderError, match="in use"), run_folder(tmp_path / "run", resume=True):
        pass
    process.kill()
    process.communicate()
    with run_folder(tmp_path / "run", resume=True) as path:
        assert path == tmp_path / "run"


@pytest.mark.parametrize(
    ("files", "resume", "match"),
    [
        (["old.txt"], False, "is not empty"),
        (["run.json"], False, "has not ended: resume it"),
        (["run.json", "summary.json"], False, "has ended: choose another"),
        ([], True, "no run to go on with"),
        (["old.txt"], True, "no run to go on with"),
    ],
)
def test_folders_that_are_refused(tmp_path, files, resume, match):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(RunFolderError, match=match), run_folder(tmp_path, resume):
        pass
    assert {one.name for one in tmp_path.iterdir()} - {".lock"} == set(files)


def test_a_new_folder_in_which_nothing_was_written_goes_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (None, tmp_path / "a" / "run"):
        with pytest.raises(KeyError), run_folder(path):
            raise KeyError
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "a" / "run").exists()


def test_a_file_is_no_run_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="is a file"), run_folder(tmp_path / "file"):
        pass
    assert module.SUMMARY == "summary.json"
