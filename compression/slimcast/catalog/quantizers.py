"""How a network is brought to few bits."""

from slimcast_edge.registry import KindInfo, Registry

QUANTIZERS: Registry[KindInfo] = Registry(
    "quantizer",
    [
        KindInfo(
            name="static",
            title="Static int8",
            description="int8 weights per channel and int8 activations, calibrated on training images; "
            "runs in integer kernels.",
            impl="slimcast.quantize.static:quantize",
            citation="Wu et al., Integer Quantization for Deep Learning Inference, 2020, arXiv:2004.09602",
        ),
    ],
)
