"""What the diagnosis finds in trainings with one fault each, and what it says of healthy ones.

    python benchmarks/diagnosis.py --directory RUNS [--seeds 10] [--cases NAME,NAME]
    python benchmarks/diagnosis.py --directory RUNS --report > tables of DIAGNOSIS.md

Each training of faults.py is judged as a user would: `preflight` before it, `diagnose` and
`examine` after it, `examine_predictions` on test images. The first half of the seeds is there to
choose limits by, the second only to test. What a run printed and its curves are kept in RUNS, one
file each, so that a killed run goes on, and curves can be read again by changed limits.
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import keras
import numpy as np
from faults import FAULTS, HEALTHY
from fine_tuning import seeds_of
from tables import table

from keras_dcnn.callbacks import CurveRecorder
from keras_dcnn.diagnosis import diagnose, examine, examine_predictions, preflight

JUDGED = ("error", "warning")


def judged(case, seed):
    """The findings of each function on one training, the curves that they read, and seconds."""
    train, validation, test = case.data(seed)
    model, found, seconds = case.model(seed), {}, {}

    def ask(name, question):
        start = time.perf_counter()
        try:
            found[name] = [(one.rule, one.severity) for one in question()]
        except ValueError as error:  # as of images with NaN, which preflight has told
            print(f"{case.name}: {name}: {error}")
            found[name] = []
        seconds[name] = round(time.perf_counter() - start, 2)

    against = validation if case.validated else False
    ask("preflight", lambda: preflight(
        model, *train, batch_size=case.batch_size, validation_data=against))  # fmt: skip
    curves = trained(model, train, against or None, case)
    if curves is None:
        return {"found": found, "seconds": seconds}
    known = {"batch_size": case.batch_size, "num_classes": max(2, model.output_shape[-1])}
    known["majority_share"] = float(np.bincount(train[1]).max() / len(train[1]))
    curves["known"] = known
    ask("diagnose", lambda: read(curves))
    ask("examine", lambda: examine(model, train))
    predictions = model.predict(test[0], verbose=0)
    if np.isfinite(predictions).all() and predictions.shape[-1] > test[1].max():
        ask("examine_predictions", lambda: examine_predictions(test[1], predictions))
    return {"found": found, "seconds": seconds, "curves": curves}


def trained(model, train, validation, case):
    """The history and the losses by batch; None where the first step raises."""
    recorder = CurveRecorder()
    how = {"batch_size": case.batch_size, "epochs": case.epochs, "verbose": 0}
    try:
        history = model.fit(*train, validation_data=validation, callbacks=[recorder], **how)
    except Exception as error:  # the first step raised, as preflight should have said
        print(f"{case.name}: {type(error).__name__}")
        return None
    history = {name: [float(one) for one in values] for name, values in history.history.items()}
    return {"history": history, "batches": [float(one) for one in recorder.points()["loss"]]}


def read(curves):
    return diagnose(curves["history"], batch_losses=curves["batches"], **curves["known"])


def run(cases, arguments):
    arguments.directory.mkdir(parents=True, exist_ok=True)
    for seed in arguments.seeds:
        for case in cases:
            path = file_of(arguments.directory, case, seed)
            if path.exists():
                continue
            start = time.perf_counter()
            record = judged(case, seed)
            path.write_text(json.dumps(record))
            rules = ", ".join(sorted(said(record)))
            print(f"{case.name}, {seed}: {rules} ({time.perf_counter() - start:.0f} s)", flush=True)
            keras.backend.clear_session()


def file_of(directory, case, seed):
    return directory / f"{case.name.replace(' ', '_')}-{seed}.json"


def findings(record):
    return [tuple(one) for part in record["found"].values() for one in part]


def records(directory, case, seeds, again):
    """What is known of a case; with `again` its curves are read anew."""
    for seed in seeds:
        path = file_of(directory, case, seed)
        if not path.exists():
            continue
        record = json.loads(path.read_text())
        if again and "curves" in record:
            found = [(one.rule, one.severity) for one in read(record["curves"])]
            record["found"]["diagnose"] = found
        yield record


def report(runs):
    """Print the tables, of a list of records by case."""
    head = ("training", "found", "what was said, and in how many")
    print("\n".join(table(head, [of_case(*one) for one in runs.items()])))
    print("\n".join(table(("rule", "right", "wrong", "precision"), list(by_rule(runs)))))
    healthy = [record for case in HEALTHY for record in runs[case]]
    accused = [record for record in healthy if said(record, ("error",))]
    print(f"healthy trainings with an error: {len(accused)} of {len(healthy)}")
    for part in ("preflight", "diagnose", "examine", "examine_predictions"):
        spent = [
            one["seconds"][part] for of in runs.values() for one in of if part in one["seconds"]
        ]
        if spent:
            print(f"{part}: median {np.median(spent):.2f} s, at most {max(spent):.2f} s")


def said(record, severities=JUDGED):
    """The rules of such findings in a record."""
    return {rule for rule, severity in findings(record) if severity in severities}


def of_case(case, records):
    """A row: in how many trainings the fault was found, and what was said."""
    counts = Counter(rule for record in records for rule in said(record, (*JUDGED, "info")))
    found = sum(bool(said(one, (*JUDGED, "info")) & {*case.expected}) for one in records)
    spoken = Counter(rule for record in records for rule in said(record))
    spoken |= Counter({rule: counts[rule] for rule in case.expected if counts[rule]})
    says = ", ".join(f"{rule} {count}" for rule, count in spoken.most_common())
    return case.name, f"{found} / {len(records)}" if case.expected else "", says


def by_rule(runs):
    """Rows: how often each rule spoke where it was true of the training, and where not."""
    right, wrong = Counter(), Counter()
    for case, records in runs.items():
        for rule in (rule for record in records for rule in said(record)):
            (right if rule in (*case.expected, *case.true) else wrong)[rule] += 1
    for rule in sorted({*right, *wrong}):
        count, others = right[rule], wrong[rule]
        yield rule, str(count), str(others), f"{count / (count + others):.2f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--seeds", type=seeds_of, help="10, or 5:10 for the second half")
    parser.add_argument("--cases", help="names with commas between them; all unless given")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--again", action="store_true", help="read the kept curves anew")
    parser.set_defaults(seeds=range(10))
    arguments = parser.parse_args()
    names = arguments.cases.split(",") if arguments.cases else None
    cases = [one for one in (*FAULTS, *HEALTHY) if names is None or one.name in names]
    if arguments.report:
        how = arguments.seeds, arguments.again
        every = (*FAULTS, *HEALTHY)
        report({one: list(records(arguments.directory, one, *how)) for one in every})
    else:
        run(cases, arguments)


if __name__ == "__main__":
    main()
