"""What was said of each variable of a model."""


class ByVariable:
    """A value for each variable, known by the variable; in a model that was loaded, by its place.

    `what` is the optimizer that goes by it, in sentences.
    """

    what = "an optimizer"

    def __init__(self, values, variables):
        self.said = list(values)
        self._known = {}  # by id the value, and the variable, so that no other gets the id
        if variables is not None:
            self.know(variables)

    def know(self, variables):
        """Take these for those that the values were listed for, if none are known."""
        if not self._known and len(variables) == len(self.said):
            pairs = zip(variables, self.said, strict=True)
            self._known = {id(variable): (value, variable) for variable, value in pairs}
        unknown = [one.path for one in variables if id(one) not in self._known]
        if unknown:
            raise ValueError(
                f"{self.what} can train the variables that it was made for; "
                f"`{unknown[0]}` was not trained then, or is in another model: set `trainable` "
                "first, then make the optimizer anew, and compile with it."
            )

    def value_of(self, variable):
        """What was said of a variable; None where it is not known."""
        return self._known.get(id(variable), (None,))[0]
