"""The command keras-dcnn, which answers what is wrong before Keras is imported: that takes seconds.

Importing a module of keras_dcnn runs the package's `__init__` first, and so Keras. Here the package
is put among the modules without that, for those of its modules that need no Keras, and begun when
the work begins.
"""

import importlib.util
import sys


def main(argv=None):
    """Run the command; returns the exit code."""
    begin = _package_not_begun()
    from keras_dcnn._command.entry import main

    return main(argv, begin)


def _package_not_begun():
    """What runs the package's `__init__`, where nobody has yet."""
    if "keras_dcnn" in sys.modules:
        return lambda: None
    spec = importlib.util.find_spec("keras_dcnn")
    package = sys.modules["keras_dcnn"] = importlib.util.module_from_spec(spec)
    return lambda: spec.loader.exec_module(package)


if __name__ == "__main__":
    sys.exit(main())
