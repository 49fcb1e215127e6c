"""Which channels go first: criteria of structured pruning."""

from dataclasses import dataclass
from typing import Literal

from slimcast_edge.registry import KindInfo, Registry


@dataclass(frozen=True, kw_only=True)
class CriterionInfo(KindInfo):
    """A criterion. `impl` is called as ``score(groups, evidence) -> {group name: importances}``.

    Attributes:
        needs: what it looks at besides the weights: ``nothing``, ``gradients`` (labelled training images) or
            ``activations`` (training images).
    """

    needs: Literal["nothing", "gradients", "activations"] = "nothing"


CRITERIA: Registry[CriterionInfo] = Registry(
    "pruning criterion",
    [
        CriterionInfo(
            name="l1",
            title="L1 norm",
            description="Channels whose group of weights has the smallest L1 norm go first.",
            impl="slimcast.prune.criteria:l1",
            citation="Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv:1608.08710; "
            "over dependency groups",
        ),
        CriterionInfo(
            name="l2",
            title="L2 norm",
            description="Channels whose group of weights has the smallest L2 norm go first.",
            impl="slimcast.prune.criteria:l2",
            citation="Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv:1608.08710; "
            "with L2, over dependency groups",
        ),
        CriterionInfo(
            name="bn_scale",
            title="Batch-norm scale",
            description="Channels that batch norm scales least go first; best after training with "
            "regularize: bn_scale. Needs batch norms.",
            impl="slimcast.prune.criteria:bn_scale",
            citation="Liu et al., Learning Efficient Convolutional Networks through Network Slimming, "
            "ICCV 2017, arXiv:1708.06519",
        ),
        CriterionInfo(
            name="taylor",
            title="First-order Taylor",
            description="Channels whose removal changes the training loss least, to first order, go first.",
            impl="slimcast.prune.criteria:taylor",
            needs="gradients",
            citation="Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019, "
            "arXiv:1906.10771",
        ),
        CriterionInfo(
            name="hessian",
            title="Diagonal Hessian",
            description="Channels whose removal raises the training loss least, to second order, go first; "
            "the Hessian's diagonal is the mean of the squared gradients of single images.",
            impl="slimcast.prune.criteria:hessian",
            needs="gradients",
            citation="LeCun, Denker and Solla, Optimal Brain Damage, NeurIPS 1989; diagonal by the empirical "
            "Fisher information, Theis et al. 2018, arXiv:1801.05787",
        ),
        CriterionInfo(
            name="lamp",
            title="LAMP",
            description="L2, each channel as its share of all that are at least as strong in its group, "
            "so that layers compare fairly; meant for scope: global.",
            impl="slimcast.prune.criteria:lamp",
            citation="Lee et al., Layer-adaptive Sparsity for the Magnitude-based Pruning, ICLR 2021, "
            "arXiv:2010.07611",
        ),
        CriterionInfo(
            name="fpgm",
            title="Geometric median (FPGM)",
            description="Filters that are closest to all others of their layer, hence easiest to replace, "
            "go first.",
            impl="slimcast.prune.criteria:fpgm",
            citation="He et al., Filter Pruning via Geometric Median, CVPR 2019, arXiv:1811.00250",
        ),
        CriterionInfo(
            name="apoz",
            title="Average percentage of zeros (APoZ)",
            description="Channels that are zero after the activation most of the time go first. Needs ReLU.",
            impl="slimcast.prune.maps:apoz",
            needs="activations",
            citation="Hu et al., Network Trimming, 2016, arXiv:1607.03250",
        ),
        CriterionInfo(
            name="hrank",
            title="Rank of feature maps (HRank)",
            description="Channels whose feature maps have the lowest average rank go first.",
            impl="slimcast.prune.maps:hrank",
            needs="activations",
            citation="Lin et al., HRank: Filter Pruning using High-Rank Feature Map, CVPR 2020, "
            "arXiv:2002.10179",
        ),
        CriterionInfo(
            name="random",
            title="Random",
            description="Chance decides, the same way for the same seed: what every other criterion must "
            "beat.",
            impl="slimcast.prune.criteria:random",
            citation="Mittal et al., Recovering from Random Pruning, WACV 2018, arXiv:1801.10447",
        ),
    ],
)
