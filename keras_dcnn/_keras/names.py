"""The names in Keras's private modules that this package reaches for, and whether they are there.

With public ones in their place this list would be empty.
"""

from importlib import import_module

NAMES = (
    ("keras.src.backend.common", "global_state"),
    ("keras.src.backend.common.variables", "AutocastScope"),
    ("keras.src.models.functional", "Functional"),
    ("keras.src.random.seed_generator", "global_seed_generator"),
    ("keras.src.trainers.data_adapters", "get_data_adapter"),
    ("keras.src.utils.io_utils", "print_msg"),
)


def missing_names():
    """Those that this version of Keras does not have, as `module.name`."""
    return [f"{module}.{name}" for module, name in NAMES if not _has(module, name)]


def _has(module, name):
    try:
        return hasattr(import_module(module), name)
    except ImportError:
        return False
