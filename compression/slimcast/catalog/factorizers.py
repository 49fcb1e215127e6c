"""How the kernel of a convolution is split into smaller ones."""

from slimcast_edge.registry import KindInfo, Registry

FACTORIZERS: Registry[KindInfo] = Registry(
    "factorization",
    [
        KindInfo(
            name="tucker",
            title="Tucker-2",
            description="A 1x1 convolution to fewer channels, the k x k core between fewer channels, "
            "a 1x1 convolution back; ranks from the higher-order SVD.",
            impl="slimcast.prune.low_rank_tucker:tucker",
            citation="Kim et al., Compression of Deep Convolutional Neural Networks for Fast and Low Power "
            "Mobile Applications, ICLR 2016, arXiv:1511.06530",
        ),
        KindInfo(
            name="cp",
            title="CP",
            description="A 1x1 convolution, a k x k filter for each channel, a 1x1 convolution; "
            "smaller than Tucker-2 at the same rank, and harder to train on.",
            impl="slimcast.prune.low_rank_cp:cp",
            citation="Lebedev et al., Speeding-up Convolutional Neural Networks Using Fine-tuned "
            "CP-Decomposition, ICLR 2015, arXiv:1412.6553",
        ),
    ],
)
"""For convolutions with a window. Linear layers and 1x1 convolutions take the truncated SVD."""
