"""Evaluation: what another folder of images says of a classifier."""

from typing import Any, NamedTuple

from keras_dcnn.diagnosis._shares import percent
from keras_dcnn.diagnosis.finding import Finding, worst_first
from keras_dcnn.recipes._scores import Scores


class Evaluation(NamedTuple):
    """Scores, the data card, and for each image the part of the run that it was in, or None."""

    scores: Scores
    card: Any
    parts: list

    @property
    def findings(self):
        """The worst first."""
        return worst_first([*self._seen(), *of_two_classes(self.card), *self.scores.findings])

    def _seen(self):
        """Images that the classifier was trained on, or chosen by."""
        counts = {part: self.parts.count(part) for part in ("train", "validation")}
        if any(counts.values()):
            (trained, chosen), total = counts.values(), len(self.parts)
            yield Finding(
                "duplicates",
                f"{trained:,} of {total:,} images were trained on and {chosen:,} chosen by "
                f"({percent((trained + chosen) / total)}), so that the scores are too good",
                "judge by images that the run has not seen",
                evidence={"count": trained + chosen, "samples": total},
            )


def of_two_classes(card):
    """A finding of the images that are in more than one class; none for arrays, without a card."""
    if card is not None and card.of_two_classes:
        count, first = len(card.of_two_classes), " = ".join(card.of_two_classes[0][:2])
        images = f"{count:,} images are" if count > 1 else "an image is"
        yield Finding(
            "same_image_other_label",
            f"{images} in more than one class, such as {first}",
            "look at them, and keep one label",
            evidence={"count": count},
        )
