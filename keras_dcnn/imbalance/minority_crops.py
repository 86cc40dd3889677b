"""MinorityCrops: a rare class gets crops of its images, a common one none."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_dcnn._checks import check_range, check_within, data_format_or_default, warn_no_effect
from keras_dcnn._progress import with_progress
from keras_dcnn.imbalance._activation_maps import ActivationMaps
from keras_dcnn.imbalance._crops import cumulative_places, draw_window, resize
from keras_dcnn.imbalance.balanced_dataset import BalancedDataset


class MinorityCrops(BalancedDataset):
    """Balances classes by special crops: a rare image comes whole once, and again as crops of it.

    `BalancedDataset` shows a network the same rare images again and again. Here what an epoch draws
    for the first time is the whole image, and what it draws once more is a crop of it, resized to
    the image's size: as many crops as balance needs, and of the rare classes only. All else, `mode`
    too, is as in `BalancedDataset`; so with "over" each image comes whole once an epoch, and with
    them max n_c − n_c crops of class c, in turn of all its images.

    A crop's sides are those of the image times one number, uniform in `scale`, whose default is
    ours. Where the crop lies is uniform; with a `guide` its centre is drawn in proportion to the
    positive part of the class activation map of the image's own class,

        P(x, y) ∝ max(0, CAM_c(x, y)),   CAM_c(x, y) = Σ_k w_k^c f_k(x, y),

    f_k the last map of the guide, w^c the weights of class c. Each place of the map stands for its
    share of the image, within which the centre is uniform. A crop that would stick out is moved
    into the image. Of an image whose map is nowhere above 0 the crops are as without a guide.

    A guide is a network that was trained on the same classes, such as the first stage of a training
    in two. Its maps are computed here, once for each image that crops are taken of, and kept: what
    it learns later does not count. They are small, as the last map of the network is.

    Zhang et al. do not crop: by the same maps their code turns and scales, moves or mirrors the
    region that stands out, over the rest of the image. What they gain with it in a second stage,
    1.3 to 1.8 points, is theirs: compare on your own images.

    Args:
        x: The images, one array: (samples, height, width, channels), or channels first; a list of
            files, or a folder with a subfolder for each class.
        y: Labels, as `BalancedDataset` takes them; None for a folder.
        sample_weight: Weights of samples, (samples,), or None.
        guide: Built model whose output comes from GlobalAveragePooling2D through at most one layer
            of weights (Dense, or 1×1 convolution), for images of this size; None for crops at
            random.
        scale: Pair of sides of a crop, as shares of the image's, from above 0 to 1.
        data_format: "channels_last" or "channels_first"; None for Keras's setting.
        mode: `"over"`, `"sqrt"`, `"progressive"`, or numbers by class.
        per_batch: None or `"balanced"`.
        batch_size: Samples in a batch, ≥ 1, and images of which maps are computed at a time.
        epochs: Epochs that "progressive" takes.
        seed: Integer ≥ 0 that fixes order and crops.
        load: Function of a path that returns an image, for files.
        image_size: Height and width, in pixels, ≥ 8, that files are resized to without a `load`.
        threads: Files that are read at a time, ≥ 1.
        verbose: 1 prints what an epoch draws, and a bar while maps are computed; 0 nothing.

    Raises:
        ValueError: for a guide without such a head, images of another size than it takes, labels
            that it has no class for, samples of several labels with a guide, data that are no
            images, and what `BalancedDataset` refuses.

    Example:

    ```python
    import numpy as np
    import keras_dcnn

    x, y = np.zeros((24, 16, 16, 3), "uint8"), np.repeat([0, 1], [20, 4])
    model = keras_dcnn.models.small_cnn((16, 16, 3), 2, width=4)  # trained, in earnest
    data = keras_dcnn.imbalance.MinorityCrops(x, y, guide=model, verbose=0)
    images, labels = data[0]
    print(len(data), images.shape)
    # model.fit(data, epochs=10)
    ```

    Reference:
        Wei: Must Know Tips/Tricks in Deep Neural Networks (2015).
        http://lamda.nju.edu.cn/weixs/project/CNNTricks/CNNTricks.html
        Zhang et al.: Bag of Tricks for Long-Tailed Visual Recognition with Deep Convolutional
        Neural Networks (AAAI 2021). https://ojs.aaai.org/index.php/AAAI/article/view/16458
        Their code: https://github.com/zhangyongshun/BagofTricks-LT
        Zhou et al.: Learning Deep Features for Discriminative Localization (CVPR 2016).
        https://arxiv.org/abs/1512.04150
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        guide: keras.Model | None = None,
        scale: Sequence[float] = (0.5, 0.9),
        data_format: str | None = None,
        mode: str | Sequence[int] | Mapping[int, int] | np.ndarray = "over",
        per_batch: str | None = None,
        batch_size: int = 32,
        epochs: int | None = None,
        seed: int = 0,
        load: Callable[[Any], Any] | None = None,
        image_size: int = 64,
        threads: int = 1,
        verbose: int = 1,
    ) -> None:
        check_range("scale", scale, above=0)
        check_within("scale", scale, 0, 1, "shares of the image's sides")
        self.scale, self.data_format = tuple(scale), data_format_or_default(data_format)
        maps = None if guide is None else ActivationMaps(guide, "`guide`")
        super().__init__(
            x,
            y,
            sample_weight,
            mode=mode,
            per_batch=per_batch,
            batch_size=batch_size,
            epochs=epochs,
            seed=seed,
            load=load,
            image_size=image_size,
            threads=threads,
            verbose=verbose,
        )
        self._check_images()
        self._repeats, self._places = (None, None), None
        cropped = self._cropped()
        if not len(cropped):
            warn_no_effect("MinorityCrops", "no class that it draws more often than it has images")
        elif maps is not None:
            self._guide(maps, cropped, verbose)

    def _check_images(self):
        images = self._source.rows(np.arange(1), 1)
        if len(getattr(images, "shape", ())) != 4:
            shapes = keras.tree.map_structure(np.shape, images)
            raise ValueError(
                "`x` must be images, one array (samples, height, width, channels); the first has "
                f"the shape {shapes}: give grey images as x[..., None], and of several inputs one."
            )

    def _cropped(self):
        """The samples of which crops may be taken, in any of the epochs."""
        wanted = [self._wanted(epoch) for epoch in range(self.epochs or 1)]
        classes = np.flatnonzero(np.max(wanted, axis=0) > self._groups.sizes)
        return np.sort(np.concatenate([np.empty(0, int), *(self._members[c] for c in classes)]))

    def _guide(self, maps, cropped, verbose):
        """Keep for each of these samples where its map is high."""
        if self._groups.labels is not None:
            raise ValueError(
                "`guide` must be None where samples have several labels, as a map is of one class."
            )
        classes = self._groups.of_sample
        maps.check(self._source.rows(cropped[:1], 1).shape, classes)
        starts = range(0, len(cropped), self.batch_size)
        places = []
        for start in with_progress(starts, len(starts), "activation maps") if verbose else starts:
            rows = cropped[start : start + self.batch_size]
            images = self._source.rows(rows, self.threads)
            places.append(cumulative_places(maps(images, classes[rows])))
        self._places = np.concatenate(places)
        self._place_of = np.full(len(classes), -1)
        self._place_of[cropped] = np.arange(len(cropped))

    def _read(self, rows, order, index):
        images = super()._read(rows, order, index)
        first = index * self.batch_size
        repeated = self._repeated(order)[first : first + len(rows)]
        random = np.random.default_rng([self.seed, self.epoch, index])
        axes = (1, 2) if self.data_format == "channels_first" else (0, 1)
        height, width = (images.shape[1 + axis] for axis in axes)
        for position in np.flatnonzero(repeated):
            image = images[position]
            places = None if self._places is None else self._places[self._place_of[rows[position]]]
            window = draw_window(random, height, width, self.scale, places)
            crop = image[(..., *window) if axes[0] else window]
            images[position] = resize(crop, height, width, axes)
        return images

    def _repeated(self, order):
        """For each place in an order whether its sample stands before it too."""
        known, repeated = self._repeats
        if known is not order:
            first = np.empty(len(self._groups.of_sample), int)
            first[order[::-1]] = np.arange(len(order))[::-1]
            repeated = first[order] != np.arange(len(order))
            self._repeats = order, repeated
        return repeated
