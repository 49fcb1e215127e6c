"""Held-out images in one file, for cameras that are to show what no training has seen."""

from pathlib import Path

import numpy as np

from slimcast.data.files import ImageFiles
from slimcast.data.load import load_data
from slimcast.data.subset import subset
from slimcast.recipe.subject import DataSpec

_MOST_STREAMED = 2_000  # images of a set that is larger than memory


def write_samples(spec: DataSpec, path: Path, *, root: Path) -> int:
    """Write the test images of a data set as .npz (`images`, `labels`) and return how many they are.

    The synthetic camera reads such a file. Images are in the order of the set: names of single files would
    sort them by label. Of a set that is larger than memory, 2 000 are taken, each class in proportion.

    Raises:
        UnknownKind: there is no such data set.
        DataError: it is missing or damaged.
    """
    data = load_data(spec, root=root)
    images, classes = data.test_images, data.test_labels
    if isinstance(images, ImageFiles):
        some = subset(classes, _MOST_STREAMED)
        images, classes = images[some], classes[some]
    labels = np.array([data.labels[index] for index in classes])
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new.npz")
    np.savez_compressed(draft, images=images, labels=labels)
    draft.replace(path)
    return len(labels)
