"""How a network is brought to few bits; each method names its config type."""

from slimcast_edge.registry import KindInfo, Registry

QUANTIZERS: Registry[KindInfo] = Registry(
    "quantizer",
    [
        KindInfo(
            name="static",
            title="Static int8",
            description="int8 weights per channel and int8 activations, calibrated on training images; "
            "runs in integer kernels.",
            impl="slimcast.recipe:StaticQuantize",
            citation="Wu et al., Integer Quantization for Deep Learning Inference, 2020, arXiv:2004.09602",
        ),
        KindInfo(
            name="qat",
            title="Quantization-aware training",
            description="int8 as of static, after training in front of its roundings; for what static loses.",
            impl="slimcast.recipe:QatQuantize",
            citation="Jacob et al., Quantization and Training of Neural Networks for Efficient "
            "Integer-Arithmetic-Only Inference, CVPR 2018, arXiv:1712.05877; Krishnamoorthi 2018, "
            "arXiv:1806.08342; Nagel et al., A White Paper on Neural Network Quantization, 2021, "
            "arXiv:2106.08295",
        ),
        KindInfo(
            name="dynamic",
            title="Dynamic int8",
            description="int8 weights of linear layers, whose inputs are quantized anew for each image; "
            "convolutions stay in float.",
            impl="slimcast.recipe:DynamicQuantize",
            citation="Krishnamoorthi, Quantizing deep convolutional networks for efficient inference, 2018, "
            "arXiv:1806.08342",
        ),
        KindInfo(
            name="float16",
            title="Half precision",
            description="16-bit floating point for GPUs; half the size, and no faster on a processor without "
            "such arithmetic.",
            impl="slimcast.recipe:Float16Quantize",
            citation="IEEE 754-2008, binary16; Micikevicius et al., Mixed Precision Training, ICLR 2018, "
            "arXiv:1710.03740",
        ),
    ],
)
