"""The public names, found from the `__all__` of the package and its namespaces."""

import inspect

import keras_dcnn

OPTIONAL = {"tensorflow", "jax", "torch", "keras_cv", "sklearn", "matplotlib", "joblib", "PIL"}
OPTIONAL |= {"jinja2", "markupsafe"}


def namespaces():
    """The namespaces of the package, by name."""
    return {
        name: getattr(keras_dcnn, name) for name in keras_dcnn.__all__ if not name.startswith("_")
    }


def public_objects():
    """Public classes and functions as {"namespace.name": object}, those of data modules too."""
    found = {}
    for namespace, module in namespaces().items():
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.ismodule(value):  # datasets.photo_digits.load_data
                found[f"{namespace}.{name}.load_data"] = value.load_data
            else:
                found[f"{namespace}.{name}"] = value
    return found
