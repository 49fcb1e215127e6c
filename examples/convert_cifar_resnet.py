"""Convert a ResNet of github.com/akamaster/pytorch_resnet_cifar10 to the weights that a recipe loads.

    python examples/convert_cifar_resnet.py resnet20-12fca82f.th resnet20-cifar10.safetensors

The network is found by the depth of the file's layers. In the recipe:

    model: {name: resnet20, weights: resnet20-cifar10.safetensors}
    data:
      name: cifar10
      mean: [0.485, 0.456, 0.406]   # these checkpoints were trained with ImageNet's numbers
      std: [0.229, 0.224, 0.225]

Seen with them on the 10 000 test images: ResNet-20 91.73 %, ResNet-56 93.39 %, as published. The numbers
could be folded into the first convolution but for the border of the image, where its zero padding stands for
the mean colour; so the recipe says them instead.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from slimcast.errors import ModelError
from slimcast.models.build import NetworkSpec, build, check_fits, fixed_weights

_NETWORKS = {3: "resnet20", 5: "resnet32", 9: "resnet56"}


def convert(source: Path, target: Path) -> str:
    """Write the checkpoint `source` as safetensors to `target`, and return the network's name in the catalog.

    Raises:
        ModelError: the file is not one of these networks.
    """
    # weights_only: tensors and plain containers, nothing that could run code.
    stored = torch.load(source, map_location="cpu", weights_only=True)
    stored = stored.get("state_dict", stored)
    tensors = {name.removeprefix("module."): tensor.contiguous() for name, tensor in stored.items()}
    blocks = len({name.split(".")[1] for name in tensors if name.startswith("layer1.")})
    if blocks not in _NETWORKS:
        raise ModelError(f"{source} has {blocks} blocks a stage; known are {sorted(_NETWORKS)}.")
    name = _NETWORKS[blocks]
    classes = len(tensors["linear.bias"])
    network = build(NetworkSpec(model=name, classes=classes, channels=3, image_size=32))
    counters = {key: value for key, value in network.state_dict().items() if "num_batches_tracked" in key}
    tensors = counters | fixed_weights(network) | tensors
    check_fits(network, tensors, str(source))
    save_file(tensors, target)
    return name


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Convert a CIFAR ResNet checkpoint to safetensors.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    print(f"{arguments.target}: weights of {convert(arguments.source, arguments.target)}")
