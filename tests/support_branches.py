"""Networks for tests that no catalog has."""

import torch
from torch import nn


class Branches(nn.Module):
    """Two branches that are concatenated, a mean over windows, and a branch that somebody else reads, too."""

    def __init__(self, both=False):
        super().__init__()
        self.both = both  # branches end in a ReLU
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.left, self.right = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.mean = nn.AvgPool2d(2)
        self.last = nn.Conv2d(16, 8, 1)
        self.head = nn.Linear(8 * 4 * 4, 4)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        left, right = torch.relu(self.left(x)), self.right(x)
        x = torch.cat([left, torch.relu(right) if self.both else right], 1)
        y = torch.relu(self.last(self.mean(x)))
        return self.head(torch.flatten(y, 1))
