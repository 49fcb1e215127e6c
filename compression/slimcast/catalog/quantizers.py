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
        KindInfo(
            name="binary",
            title="Binary weights",
            description="One bit for each weight and a scale for each channel, 8-bit activations, trained; "
            "much smaller, and as fast as int8: no processor has 1-bit convolutions.",
            impl="slimcast.recipe:BinaryQuantize",
            citation="Rastegari et al., XNOR-Net, ECCV 2016, arXiv:1603.05279; Courbariaux et al., "
            "Binarized Neural Networks, 2016, arXiv:1602.02830",
        ),
        KindInfo(
            name="dorefa",
            title="DoReFa",
            description="Weights of 2, 4 or 8 bits without a zero, activations of 2, 4 or 8, trained.",
            impl="slimcast.recipe:DorefaQuantize",
            citation="Zhou et al., DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with Low "
            "Bitwidth Gradients, 2016, arXiv:1606.06160",
        ),
        KindInfo(
            name="pact",
            title="PACT",
            description="Weights as with DoReFa; where activations are cut off is learnt.",
            impl="slimcast.recipe:PactQuantize",
            citation="Choi et al., PACT: Parameterized Clipping Activation for Quantized Neural Networks, "
            "2018, arXiv:1805.06085",
        ),
        KindInfo(
            name="wrpn",
            title="WRPN",
            description="Clipped weights of 2, 4 or 8 bits with a zero, activations of 2, 4 or 8, trained.",
            impl="slimcast.recipe:WrpnQuantize",
            citation="Mishra et al., WRPN: Wide Reduced-Precision Networks, ICLR 2018, arXiv:1709.01134",
        ),
        KindInfo(
            name="weight_only",
            title="Weights of few bits",
            description="Weights in 8, 4 or 2 bits or float8, after training or trained so; computes in "
            "float: smaller, not faster.",
            impl="slimcast.recipe:WeightOnlyQuantize",
            citation="Banner, Nahshan and Soudry, Post training 4-bit quantization of convolutional "
            "networks, NeurIPS 2019, arXiv:1810.05723; Bengio, Leonard and Courville 2013, arXiv:1308.3432; "
            "optimum-quanto, github.com/huggingface/optimum-quanto",
        ),
        KindInfo(
            name="quanto",
            title="Few bits, rounded activations",
            description="Weights in 8, 4 or 2 bits with int8 activations, in integer kernels; or float8, for "
            "which there are none.",
            impl="slimcast.recipe:QuantoQuantize",
            citation="optimum-quanto, github.com/huggingface/optimum-quanto; float8: Micikevicius et al., "
            "FP8 Formats for Deep Learning, 2022, arXiv:2209.05433",
        ),
        KindInfo(
            name="mixed",
            title="Mixed widths",
            description="Each layer alone is tried at each width; then every layer gets the fewest bits that "
            "a budget of bytes or of accuracy allows.",
            impl="slimcast.recipe:MixedQuantize",
            citation="Shoham and Gersho, Efficient bit allocation for an arbitrary set of quantizers, IEEE "
            "Transactions on Acoustics, Speech, and Signal Processing 36(9), 1988; Dong et al., HAWQ-V2, "
            "NeurIPS 2020, arXiv:1911.03852",
        ),
    ],
)
