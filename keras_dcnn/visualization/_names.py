"""Names of classes, by number, as the figures write them."""

from collections.abc import Sequence

from keras_dcnn.visualization._style import text


def class_names_for(
    names: Sequence[str] | None, count: int, unnamed: str = "{}", longest: int = 24
) -> list[str]:
    """A name for each of so many classes, or more; the numbers for None; ValueError for fewer."""
    if names is None:
        return [unnamed.format(number) for number in range(count)]
    listed = hasattr(names, "__iter__") and not isinstance(names, str)
    names = [text(name, longest) for name in names] if listed else []
    if len(names) < max(count, 1):
        raise ValueError(
            f"`class_names` must be a list with a name for each class, {count} or more; got "
            f"{len(names)}."
        )
    return names
