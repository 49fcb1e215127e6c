"""Held-out images in one file, for cameras that are to show what no training has seen."""

from pathlib import Path

import numpy as np

from slimcast.catalog import DATA


def write_samples(name: str, path: Path, *, root: Path) -> int:
    """Write the test images of a data set as .npz (`images`, `labels`) and return how many they are.

    The synthetic camera reads such a file. Images are in the order of the set: names of single files would
    sort them by label.

    Raises:
        UnknownKind: there is no such data set.
        DataError: it is missing or damaged.
    """
    data = DATA[name].load()(root)
    labels = np.array([data.labels[index] for index in data.test_labels])
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new.npz")
    np.savez_compressed(draft, images=data.test_images, labels=labels)
    draft.replace(path)
    return len(labels)
