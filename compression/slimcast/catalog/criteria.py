"""Which channels go first: criteria of structured pruning."""

from slimcast_edge.registry import KindInfo, Registry

CRITERIA: Registry[KindInfo] = Registry(
    "pruning criterion",
    [
        KindInfo(
            name="l2",
            title="L2 norm",
            description="Channels whose group of weights has the smallest L2 norm go first.",
            impl="slimcast.prune.criteria:l2",
            citation="Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv:1608.08710; "
            "with L2, over dependency groups",
        ),
    ],
)
