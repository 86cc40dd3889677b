"""ImageFolderError: what is wrong with a folder or file of images, in one sentence."""


class ImageFolderError(ValueError):
    """A folder that can't be used as a data set; the message names the file or folder."""


def some_of(paths, shown=5):
    """The first few of some paths, and how many more there are."""
    paths = list(map(str, paths))
    more = f" and {len(paths) - shown:,} more" if len(paths) > shown else ""
    return ", ".join(paths[:shown]) + more
