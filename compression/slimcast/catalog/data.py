"""Data sets that a recipe can name."""

from dataclasses import dataclass, field

from slimcast_edge.artifact import FrameSpec
from slimcast_edge.registry import KindInfo, Registry

_HANDWRITING = FrameSpec(invert="auto", contrast="stretch", subject="ink")
"""White on black in the sets, dark on white before a camera, somewhere in the picture."""


@dataclass(frozen=True, kw_only=True)
class DataInfo(KindInfo):
    """A data set. `impl` is called as ``load(root: Path, *, download: bool) -> ImageData``.

    Attributes:
        classes: number of classes; 0: known only once it is loaded.
        channels: 1 grey, 3 RGB. image_size: its own side, pixels, or what images of any size are brought to.
        flips: whether a mirrored image is still of its class, so that training may mirror it.
        frames: what a camera does to its frames so that they look as these images do.
        needs_path: whether a recipe must say where it is. `impl` is then called as
            ``load(root: Path, *, path: str, side: int, channels: int, resize: Resize, reporter: Reporter)``.
    """

    classes: int
    channels: int
    image_size: int
    flips: bool = False
    needs_path: bool = False
    frames: FrameSpec = field(default_factory=FrameSpec)


DATA: Registry[DataInfo] = Registry(
    "data set",
    [
        DataInfo(
            name="digits",
            title="Digits (scikit-learn)",
            description="1 797 handwritten digits of 8x8 pixels, part of scikit-learn: nothing to download.",
            impl="slimcast.data.digits:load",
            citation="Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI 1998, CC BY 4.0",
            classes=10,
            channels=1,
            image_size=8,
            frames=_HANDWRITING.model_copy(update={"fill": 1.0, "centre": "box"}),
        ),
        DataInfo(
            name="mnist",
            title="MNIST",
            description="60 000 training and 10 000 test images of handwritten digits, 28x28 grey.",
            impl="slimcast.data.mnist:load",
            citation="LeCun, Cortes and Burges, The MNIST database of handwritten digits, 1998",
            classes=10,
            channels=1,
            image_size=28,
            # Its digits are 20 pixels long, and their centre of mass lies in the middle.
            frames=_HANDWRITING.model_copy(update={"fill": 0.7143, "centre": "mass"}),
        ),
        DataInfo(
            name="fashion_mnist",
            title="Fashion-MNIST",
            description="60 000 training and 10 000 test images of clothes and shoes, 28x28 grey.",
            impl="slimcast.data.fashion_mnist:load",
            citation="Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017, arXiv:1708.07747",
            classes=10,
            channels=1,
            image_size=28,
            flips=True,
        ),
        DataInfo(
            name="cifar10",
            title="CIFAR-10",
            description="50 000 training and 10 000 test photographs of ten classes, 32x32 RGB.",
            impl="slimcast.data.cifar:load_cifar10",
            citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
            classes=10,
            channels=3,
            image_size=32,
            flips=True,
        ),
        DataInfo(
            name="cifar100",
            title="CIFAR-100",
            description="50 000 training and 10 000 test photographs of a hundred classes, 32x32 RGB.",
            impl="slimcast.data.cifar:load_cifar100",
            citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
            classes=100,
            channels=3,
            image_size=32,
            flips=True,
        ),
        DataInfo(
            name="folder",
            title="Folder of images",
            description="Your own images: train/CLASS and test/CLASS, or a folder for each class alone.",
            impl="slimcast.data.folder:load",
            classes=0,
            channels=3,
            image_size=64,
            flips=True,
            needs_path=True,
        ),
    ],
)
