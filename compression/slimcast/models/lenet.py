"""LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998), with ReLU and max pooling."""

import torch
from torch import Tensor, nn


class LeNet5(nn.Module):
    """Input (N, C, S, S) with S >= 32 -> logits (N, K)."""

    def __init__(self, *, classes: int, channels: int, image_size: int) -> None:
        super().__init__()
        side = ((image_size - 4) // 2 - 4) // 2
        self.conv1 = nn.Conv2d(channels, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU()
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (N, K)."""
        x = self.pool(self.relu(self.conv1(x)))  # (N, 6, (S-4)/2, ..)
        x = self.pool(self.relu(self.conv2(x)))  # (N, 16, side, side)
        x = torch.flatten(x, 1)
        x = self.relu(self.fc1(x))
        x = self.relu(self.fc2(x))
        return self.fc3(x)


def lenet5(classes: int, channels: int, image_size: int) -> nn.Module:
    """Build LeNet-5 with random weights."""
    return LeNet5(classes=classes, channels=channels, image_size=image_size)
