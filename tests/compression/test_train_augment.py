import dataclasses

import numpy as np
import pytest
import torch

from slimcast.train.augment import Augmenter, erased, moved
from slimcast.train.batches import Batches
from slimcast.train.normalise import Normaliser
from slimcast.train.plan import NO_AUGMENTATION, Augmentation, TrainingPlan
from support_engine import digits

CPU = torch.device("cpu")


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _numbered(count=64, side=8, channels=3):
    """Return images whose pixels all differ within one image and channel."""
    places = torch.arange(side * side, dtype=torch.uint8).view(1, side, side, 1)
    return places.expand(count, -1, -1, channels).contiguous()


def _take(data, plan, count):
    return list(Batches(data, plan, CPU).take(count, lambda: None))


def test_a_flip_mirrors_about_half_of_the_images_and_nothing_else():
    images = _numbered(400)
    flipped = moved(images, _generator(), share=0.0, flip=True)
    mirrored = (flipped == images.flip(2)).flatten(1).all(1)
    same = (flipped == images).flatten(1).all(1)
    assert bool((mirrored | same).all())
    assert 0.4 < float(mirrored.float().mean()) < 0.6


@pytest.mark.parametrize("reflect", [False, True])
def test_a_move_is_the_crop_of_a_padded_image(reflect):
    images = torch.randint(0, 256, (200, 8, 8, 2), dtype=torch.uint8, generator=_generator())
    result = moved(images, _generator(1), share=1 / 4, reflect=reflect).numpy()
    padding = [(0, 0), (2, 2), (2, 2), (0, 0)]
    padded = np.pad(images.numpy(), padding, mode="reflect" if reflect else "edge")
    crops = [padded[:, top : top + 8, left : left + 8] for top in range(5) for left in range(5)]
    fits = np.stack([(crop == result).all((1, 2, 3)) for crop in crops])  # (25, N)
    assert fits.any(0).all()
    assert fits.any(1).all()  # every offset occurs


def test_erasing_fills_one_rectangle_of_the_right_size_with_the_mean():
    images = torch.full((300, 32, 32, 3), 9, dtype=torch.uint8)
    colour = torch.tensor([100, 120, 140], dtype=torch.uint8)
    result = erased(images, _generator(), chance=0.5, colour=colour)
    hole = (result == colour).all(-1)
    assert bool(((result == images).all(-1) | hole).all())
    share = hole.float().mean((1, 2))
    hit = share > 0
    assert 0.4 < float(hit.float().mean()) < 0.6
    assert float(share[hit].min()) > 0.01
    assert float(share.max()) < 0.36
    rows, columns = hole.any(2).sum(1), hole.any(1).sum(1)
    assert torch.equal(rows * columns, hole.sum((1, 2)))  # a full rectangle


@pytest.mark.parametrize(
    ("flip", "of_the_data", "flips"),
    [(None, True, True), (None, False, False), (True, False, True), (False, True, False)],
)
def test_flips_follow_the_data_unless_the_recipe_says_otherwise(flip, of_the_data, flips):
    options = Augmentation(shift=False, flip=flip)
    augment = Augmenter(options, mirrors=of_the_data, mean=(0.5,) * 3, generator=_generator())
    images = _numbered()
    assert torch.equal(augment(images), images) is not flips


def test_natural_images_move_further_than_digits():
    def reach(mirrors):
        options = Augmentation(flip=False)
        augment = Augmenter(options, mirrors=mirrors, mean=(0.5,), generator=_generator())
        rows = torch.arange(32, dtype=torch.uint8).view(1, 32, 1, 1).expand(200, 32, 32, 1).contiguous()
        return int((augment(rows)[:, 16, 16, 0].int() - 16).abs().max())

    assert (reach(mirrors=False), reach(mirrors=True)) == (2, 4)


def test_no_augmentation_leaves_the_images_as_they_are():
    data = digits()
    batch = _take(data, TrainingPlan(epochs=1, batch_size=len(data.train_labels), augment=False), 1)[0]
    order = torch.randperm(len(data.train_labels), generator=_generator())
    wanted = Normaliser(data, CPU)(torch.from_numpy(data.train_images)[order])
    assert torch.equal(batch.images, wanted)
    assert TrainingPlan(epochs=1, augment=False).augmentation == NO_AUGMENTATION


def test_normalisation_is_mean_and_deviation_of_each_channel():
    data = dataclasses.replace(
        digits(),
        train_images=np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8),
        mean=(0.1, 0.2, 0.3),
        std=(0.5, 0.25, 0.2),
    )
    result = Normaliser(data, CPU)(torch.from_numpy(data.train_images)).numpy()
    wanted = (data.train_images / 255 - np.array(data.mean)) / np.array(data.std)
    np.testing.assert_allclose(result, wanted.transpose(0, 3, 1, 2), atol=1e-5)


def test_mixup_blends_images_and_keeps_both_labels():
    options = Augmentation(shift=False, mixup=1.0)
    plain = _take(digits(), TrainingPlan(epochs=1, batch_size=16, augment=False), 3)
    mixed = _take(digits(), TrainingPlan(epochs=1, batch_size=16, augment=options), 3)
    for before, after in zip(plain, mixed, strict=True):
        assert after.others is not None
        assert torch.equal(after.labels, before.labels)
        assert torch.equal(after.others, before.labels.flip(0))
        wanted = after.share * before.images + (1 - after.share) * before.images.flip(0)
        assert torch.allclose(after.images, wanted, atol=1e-5)
    assert len({batch.share for batch in mixed}) == 3


def test_an_epoch_shows_every_image_once():
    data = digits()
    count = len(data.train_labels) // 7 * 7
    data = dataclasses.replace(data, train_images=data.train_images[:count], train_labels=np.arange(count))
    plan = TrainingPlan(epochs=1, batch_size=7)
    batches = Batches(data, plan, CPU)
    seen = torch.cat([batch.labels for batch in batches.take(2 * batches.per_epoch, lambda: None)])
    assert torch.equal(seen[:count].sort().values, torch.arange(count))
    assert torch.equal(seen[count:].sort().values, torch.arange(count))
    assert not torch.equal(seen[:count], seen[count:])
