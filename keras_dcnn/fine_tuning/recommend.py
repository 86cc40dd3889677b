"""recommend: the tutorial's table for fine-tuning as a function."""

from keras_dcnn._checks import check_choice, check_count, check_number
from keras_dcnn.fine_tuning.recommendation import Rates, Recommendation
from keras_dcnn.fine_tuning.similarity import Similarity

VERDICTS = ("similar", "different", "cannot tell")
# All numbers of the table. Where each comes from is in the docstring.
LITTLE_PER_CLASS, LITTLE_IN_ALL = 20, 1000
HEAD_RATE, DECAY = 1e-3, 0.75
SHARE_OF_FEW = 1 / 3
# By (little data, verdict): strategy, layers, share of the blocks, and why.
TABLE = {
    (True, "similar"): (
        *("probe", "last", 0.0),
        "the last features know such classes, and few images would only make the network forget",
    ),
    (True, "different"): (
        *("probe", "all", 0.0),
        "the last features are made for other classes: those from before may know more of these, "
        "and few images are too few to train the network",
    ),
    (True, "cannot tell"): (
        *("probe", "all", 0.0),
        "held-out samples choose between the last features and those from before",
    ),
    (False, "similar"): (
        *("few_layers", "last", SHARE_OF_FEW),
        "the first layers fit as they are, and there are images enough to fit the last ones",
    ),
    (False, "different"): (
        *("probe_then_all", "last", 1.0),
        "there are images enough to fit the whole network to another kind of classes, and a head "
        "that is fitted first does not spoil its features",
    ),
    (False, "cannot tell"): (
        *("probe_then_all", "last", 1.0),
        "with images enough the whole network can be trained; where that does not help, the "
        "linear classifier before it is kept",
    ),
}
_RATES = (
    "that the validation accuracy does not fall below that of the linear classifier before: the "
    "rates are too high then"
)
WATCH = {
    ("last", 0.0): (
        "balanced accuracy, where some classes have fewer samples than others",
        "whether the other depths are as good: if so the task is less similar than it seemed",
    ),
    ("all", 0.0): (
        "which depth the held-out samples choose; the last one means that the task is similar",
        "balanced accuracy, where some classes have fewer samples than others",
    ),
    ("last", SHARE_OF_FEW): (
        _RATES,
        "whether more blocks help: if so the task is less similar than it seemed",
    ),
    ("last", 1.0): (
        _RATES,
        "the gap between training and validation accuracy: augment more where it widens",
    ),
}


def recommend(
    num_samples: int,
    num_classes: int,
    similarity: str | Similarity,
    *,
    little_per_class: float = LITTLE_PER_CLASS,
    little_in_all: int = LITTLE_IN_ALL,
) -> Recommendation:
    """Say how to fine-tune a pretrained network, by how much data there are and how similar.

    The tutorial's table. `fine_tune(strategy="auto")` goes by it; call it to see why, or before
    there is any network.

    | | similar | different | cannot tell |
    |---|---|---|---|
    | little data | `probe` of the last features | `probe` of all depths | as different |
    | much data | `few_layers`, small rate | `probe_then_all`, small rate | as different |

    Two things are newer than the tutorial: much and different data get a linear classifier first
    (LP-FT), since training all layers under a random head spoils the features (+1 % in, +10 % out
    of distribution); and where nobody can tell, held-out samples choose among depths.

    Where the numbers come from. Data are little up to 20 samples a class (few-shot benchmarks end
    at 16 to 20, and there AutoGluon puts an SVM on frozen features) and up to 1,000 in all (the
    size of the tasks of VTAB-1k, where a probe of all layers equals fine-tuning on the mean:
    Head2Toe); that either is enough is our choice. Measured on three tasks (FINE_TUNING.md): up to
    1,000 images a probe is ahead of all trainings or level with them, also at 100 a class, at 2,000
    it is level; but where colours change after the training, trainings with augmentation are up to
    5 points ahead. The rates are for AdamW: 1e-3 for the head is
    ours, by trials with 100 to 1,400 images, where AutoGluon's 1e-4 changed too little in 20
    epochs; 0.75 from a block to the one before is timm's. A last third as "a few layers" is ours.

    Args:
        num_samples: Number of samples to train on, at least one a class.
        num_classes: Number of classes, ≥ 2.
        similarity: "similar", "different", "cannot tell", or what `measure_similarity` returned.
        little_per_class: Samples a class, on the mean, up to which data are little, ≥ 0.
        little_in_all: Samples in all up to which data are little, ≥ 0.

    Returns:
        A `Recommendation`.

    Example:

    ```python
    import keras_dcnn

    print(keras_dcnn.fine_tuning.recommend(10_000, 10, "different"))
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015), section 4.
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
        Kumar et al.: Fine-Tuning Can Distort Pretrained Features and Underperform Out-of-
        Distribution (2022). https://arxiv.org/abs/2202.10054
        Evci et al.: Head2Toe (2022). https://arxiv.org/abs/2201.03529
    """
    check_count("num_classes", num_classes, minimum=2)
    check_count("num_samples", num_samples, minimum=num_classes)
    check_number("little_per_class", little_per_class, minimum=0)
    check_number("little_in_all", little_in_all, minimum=0)
    measured = similarity.reason if isinstance(similarity, Similarity) else None
    verdict = similarity.verdict if isinstance(similarity, Similarity) else similarity
    check_choice("similarity", verdict, VERDICTS)
    per_class = num_samples / num_classes
    little = per_class <= little_per_class or num_samples <= little_in_all
    strategy, layers, share, why = TABLE[bool(little), verdict]
    reasons = (
        f"{num_samples:,} samples of {num_classes:,} classes, {_round(per_class)} a class, are "
        f"{'little' if little else 'much'} data: little is up to {little_per_class:,g} a class, "
        f"or up to {little_in_all:,g} in all",
        f"{verdict}: {measured or 'as you say'}",
        why,
    )
    rates = Rates(HEAD_RATE, HEAD_RATE * DECAY, DECAY) if share else Rates(None, None, None)
    return Recommendation(strategy, layers, share, rates, WATCH[layers, share], reasons)


def _round(number):
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
