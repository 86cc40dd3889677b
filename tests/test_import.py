"""The package is imported without what is optional, and not where Keras is Keras 2."""

import os
import subprocess
import sys

import pytest
from public import OPTIONAL


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


@pytest.mark.once
def test_legacy_keras_is_refused_in_one_sentence():
    done = run_python("import keras_dcnn", TF_USE_LEGACY_KERAS="1")
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "ImportError: keras_dcnn needs Keras 3, but TF_USE_LEGACY_KERAS makes tf.keras Keras 2: "
        "unset TF_USE_LEGACY_KERAS before Python starts."
    )


@pytest.mark.every_backend
def test_imports_without_the_optional_packages_and_without_other_backends(backend):
    optional = sorted(OPTIONAL - {backend})
    code = f"""
import sys
for name in {optional}:
    sys.modules[name] = None  # an import of it would fail
import keras_dcnn, keras
assert keras_dcnn.layers.RReLU()(keras.ops.ones((2, 3))).shape == (2, 3)
for use, extra in ((keras_dcnn.datasets.photo_digits.load_data, "demo"),
                   (lambda: keras_dcnn.visualization.plot_loss({{"loss": [1.0]}}), "plot")):
    try:
        use()
    except ImportError as error:
        assert f'pip install "keras_dcnn[{{extra}}]"' in str(error), error
    else:
        raise SystemExit("no ImportError")
"""
    done = run_python(code, KERAS_BACKEND=backend)
    assert done.returncode == 0, done.stderr[-2000:]
