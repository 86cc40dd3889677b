"""The page: one template, one sheet of styles, nothing from outside."""

import re
from importlib import import_module, resources

from keras_dcnn.diagnosis._shares import percent
from keras_dcnn.visualization._report.settings import as_text


def check_jinja():
    """jinja2, or an ImportError that says how to get it."""
    try:
        return import_module("jinja2")
    except ImportError as error:
        raise ImportError(
            f'the report needs Jinja2: pip install "keras_dcnn[report]" ({error}).'
        ) from error


def page_of(sections):
    """The HTML of the sections, a dict by name; all texts are escaped."""
    jinja2 = check_jinja()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": lambda share: _unbroken(percent(share, 1)),
        "sentence": _sentence,
        "text": as_text,
        "unbroken": _unbroken,
    }
    style = import_module("markupsafe").Markup(_read("page.css"))
    return environment.from_string(_read("page.html")).render(style=style, **sections)


def _unbroken(text):
    """The text, in which no line ends before a percent sign."""
    return str(text).replace(" %", "\N{NO-BREAK SPACE}%")


def _sentence(text, is_first=True):
    """The text as a sentence, or the rest of one; what stands in backticks is code."""
    markup = import_module("markupsafe")
    text = _unbroken(text)
    text = text[:1].upper() + text[1:] if is_first else text
    parts = re.split(r"`([^`]*)`", f"{text}.")
    marked = [
        markup.Markup("<code>{}</code>").format(part) if at % 2 else markup.escape(part)
        for at, part in enumerate(parts)
    ]
    return markup.Markup("").join(marked)


def _read(name):
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
