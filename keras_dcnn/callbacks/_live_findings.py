"""Findings while a training goes on: which stand, what changed, the file and the table of it."""

import dataclasses
import textwrap
from collections import Counter

from keras_dcnn._files.atomic import write_json
from keras_dcnn._files.runs import read_json
from keras_dcnn.callbacks._live_curves import AT_THE_END
from keras_dcnn.diagnosis.finding import Finding, plain, worst_first

_NAMES = ("rule", "layer", "severity")
_INDENT = " " * 6


class LiveFindings:
    """The findings that stand, the worst first, and the log of what appeared and what went.

    One that is certain stands at once; another when it is read twice in a row with one severity.
    One that stands goes when two readings in a row don't have it. The last reading stands as it is.
    """

    def __init__(self):
        self.standing, self.log = [], []
        self._before = []  # what was read last
        self._ended = []  # what was said at the end of the last `fit` only

    def take(self, epoch, found, at_the_end=False):
        """Take a reading; the entry of the log where it changed something, else None."""
        found = [plain(one) for one in found]
        if at_the_end:
            self.standing, self._ended = self.standing + self._ended, []
        old, before, now = map(_named, (self.standing, self._before, found))
        stands = now if at_the_end else settled(old, before, now)
        self._before = found
        self.standing = worst_first(stands.values())
        appeared = [one for key, one in stands.items() if _severity(old, key) != one.severity]
        gone = [one for key, one in old.items() if _severity(stands, key) != one.severity]
        if not appeared and not gone:
            return None
        entry = {"epoch": epoch}
        entry["appeared"] = [dataclasses.asdict(one) for one in worst_first(appeared)]
        entry["gone"] = [{name: getattr(one, name) for name in _NAMES} for one in worst_first(gone)]
        self.log.append(entry)
        return entry

    def go_on(self):
        """Put away what was said of the end of a training that goes on after all."""
        self._ended += [one for one in self.standing if one.rule in AT_THE_END]
        self.standing = [one for one in self.standing if one.rule not in AT_THE_END]

    def write(self, path):
        """Write those that stand, and the log, as JSON."""
        standing = list(map(dataclasses.asdict, self.standing))
        write_json(path, {"findings": standing, "log": self.log})

    def get_state(self):
        lists = self.standing, self._before, self._ended
        findings = [list(map(dataclasses.asdict, one)) for one in lists]
        return {"log": list(self.log), "findings": findings}

    def set_state(self, state):
        self.log = list(state["log"])
        lists = [[Finding(**one) for one in found] for found in state["findings"]]
        self.standing, self._before, self._ended = lists


def settled(standing, before, now):
    """What stands after a reading, of findings by name: that stood, were read before, are now."""
    stands = {}
    for key in {**standing, **now}:
        one, earlier = now.get(key), before.get(key)
        is_same = one and earlier and one.severity == earlier.severity
        if one and (one.confidence == "certain" or is_same):
            stands[key] = one
        elif key in standing and (one or earlier):
            stands[key] = standing[key]
    return stands


def _severity(named, key):
    return named[key].severity if key in named else None


def _named(findings):
    """Findings by rule, layer, and a number where a rule found several things."""
    seen, named = Counter(), {}
    for one in findings:
        named[one.rule, one.layer, seen[one.rule, one.layer]] = one
        seen[one.rule, one.layer] += 1
    return named


def table(entry, width):
    """An entry of the log as lines of so many columns."""
    before = {(one["rule"], one["layer"]): one["severity"] for one in entry["gone"]}
    lines = [f"TrainingDiagnosis, epoch {entry['epoch']}:"]
    for one in entry["appeared"]:
        was = before.pop((one["rule"], one["layer"]), None)
        lines.append(_row("now" if was else "new", one) + (f" (was {was})" if was else ""))
        said = f"{one['message']}: {one['advice']}."
        lines += textwrap.wrap(said, width, initial_indent=_INDENT, subsequent_indent=_INDENT)
    rest = [one for one in entry["gone"] if (one["rule"], one["layer"]) in before]
    return "\n".join(lines + [_row("gone", one) for one in rest])


def _row(what, one):
    where = f" of `{one['layer']}`" if one["layer"] else ""
    return f"{what:4}  {one['severity']:7}  {one['rule']}{where}"


def check_file(path):
    """Raise ValueError where findings must not be written: to a directory, or over another file."""
    if path.is_dir():
        raise ValueError(
            f"`path` must be a file; {path} is a directory: name a file in it, such as "
            f"{path / 'findings.json'}."
        )
    size = path.stat().st_size if path.exists() else 0
    if size and not {"findings", "log"} <= (read_json(path) or {}).keys():
        raise ValueError(
            f"`path` must be a new file, or one of TrainingDiagnosis; {path} holds something else: "
            "choose another path, or delete it."
        )
