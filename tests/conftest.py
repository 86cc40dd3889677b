"""Settings of all tests: fixed seeds, figures that need no screen, compilations kept, marks."""

import gc
import os
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
QUICK = 10  # seconds that a test without the mark `slow` may take

os.environ.setdefault("MPLBACKEND", "Agg")
# The same small models are compiled in every run, in child processes too: XLA's work is kept.
COMPILED = TESTS.parent / ".pytest_cache" / "compiled"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(COMPILED / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")
os.environ.setdefault(
    "TF_XLA_FLAGS", f"--tf_xla_persistent_cache_directory={COMPILED / 'tensorflow'}"
)

import keras
import trainings


@pytest.fixture(autouse=True, scope="module")
def _fresh_session():
    """Names of layers do not depend on the files before, and what those compiled is let go."""
    trainings.forget()
    keras.utils.clear_session()
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()


@pytest.fixture
def close_figures():
    yield
    import matplotlib.pyplot

    matplotlib.pyplot.close("all")


@pytest.fixture(autouse=True)
def _fixed_seed():
    keras.utils.set_random_seed(1234)
    yield
    trainings.take_back()


@pytest.fixture
def backend():
    return keras.backend.backend()


def pytest_collection_modifyitems(items):
    for item in items:
        if TESTS / "once" in item.path.parents:
            item.add_marker("once")


def pytest_collection_finish():
    """What was imported stays: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """Names the tests that should be made quicker, or be marked `slow`."""
    seconds = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and "slow" not in report.keywords:
                seconds[report.nodeid] = seconds.get(report.nodeid, 0) + report.duration
    late = sorted(((s, name) for name, s in seconds.items() if s > QUICK), reverse=True)
    if late:
        terminalreporter.section(f"not marked slow, and longer than {QUICK} s")
        for s, name in late:
            terminalreporter.line(f"{s:6.1f} s  {name}")
