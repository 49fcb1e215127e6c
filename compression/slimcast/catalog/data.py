"""Data sets that a recipe can name."""

from dataclasses import dataclass

from slimcast_edge.registry import KindInfo, Registry


@dataclass(frozen=True, kw_only=True)
class DataInfo(KindInfo):
    """A data set. `impl` is called as ``load(root: Path) -> ImageData``.

    Attributes:
        classes: number of classes. channels: 1 grey, 3 RGB. image_size: its own side, pixels.
    """

    classes: int
    channels: int
    image_size: int


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
        ),
    ],
)
