"""Steps of a recipe; each names its config type."""

from slimcast_edge.registry import KindInfo, Registry

STEPS: Registry[KindInfo] = Registry(
    "step",
    [
        KindInfo(
            name="train",
            title="Train",
            description="Train from the weights that are there.",
            impl="slimcast.recipe:TrainStep",
        ),
        KindInfo(
            name="prune",
            title="Prune",
            description="Remove whole channels: fewer multiply-accumulates, smaller and faster everywhere.",
            impl="slimcast.recipe:PruneStep",
            citation="Fang et al., DepGraph: Towards Any Structural Pruning, CVPR 2023, arXiv:2301.12900",
        ),
        KindInfo(
            name="netadapt",
            title="NetAdapt",
            description="Cut channels in small steps until a budget of measured latency, "
            "multiply-accumulates or bytes is met; each step is the one that keeps most accuracy.",
            impl="slimcast.recipe:NetAdaptStep",
            citation="Yang et al., NetAdapt: Platform-Aware Neural Network Adaptation for Mobile "
            "Applications, ECCV 2018, arXiv:1804.03230",
        ),
        KindInfo(
            name="sensitivity",
            title="Sensitivity",
            description="Prune each group of layers by itself at several ratios and note the accuracy; "
            "the network stays as it is.",
            impl="slimcast.recipe:SensitivityStep",
            citation="Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv:1608.08710",
        ),
        KindInfo(
            name="sparsify",
            title="Sparsify",
            description="Set the smallest weights to zero: a smaller file once it is compressed; "
            "dense kernels gain no speed.",
            impl="slimcast.recipe:SparsifyStep",
            citation="Han et al., Learning both Weights and Connections for Efficient Neural Networks, "
            "NIPS 2015, arXiv:1506.02626; rounds: Zhu and Gupta 2017, arXiv:1710.01878; "
            "N:M: Mishra et al., Accelerating Sparse Deep Neural Networks, 2021, arXiv:2104.08378",
        ),
        KindInfo(
            name="factorize",
            title="Factorize",
            description="Replace layers by factors of lower rank: fewer multiply-accumulates and parameters.",
            impl="slimcast.recipe:FactorizeStep",
            citation="Denton et al., Exploiting Linear Structure Within Convolutional Networks for Efficient "
            "Evaluation, NIPS 2014, arXiv:1404.0736",
        ),
        KindInfo(
            name="finetune",
            title="Fine-tune",
            description="Train a compressed model on, with or without a teacher.",
            impl="slimcast.recipe:FinetuneStep",
        ),
        KindInfo(
            name="quantize",
            title="Quantize",
            description="Store and compute in integers; makes the final artifact.",
            impl="slimcast.recipe:QuantizeStep",
            citation="Jacob et al., Quantization and Training of Neural Networks for Efficient "
            "Integer-Arithmetic-Only Inference, CVPR 2018, arXiv:1712.05877",
        ),
    ],
)
