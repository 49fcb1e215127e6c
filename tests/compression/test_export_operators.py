"""Single operations: each answers in ONNX as it does in torch, or is refused by name."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from slimcast.catalog import MODELS
from slimcast.catalog.open_networks import TIMM_MISSING, timm_names
from slimcast.errors import ModelError, RecipeError
from slimcast.export.artifact import pack
from slimcast.export.onnx_export import export_onnx
from slimcast.models.build import NetworkSpec, build
from slimcast.models.state import load_state, save_state
from slimcast.quantize import static
from slimcast.recipe import parse_recipe
from slimcast.reporting import SilentReporter
from slimcast_edge.artifact import ArtifactInfo, InputSpec, NumericKind
from slimcast_edge.runtime import open_runtime
from support_networks import answers_of, lively, photographs


class _Net(nn.Module):
    """A convolution, whatever is tried on its result (N, 8, S, S), and a classifier."""

    def __init__(self, operation, features=8):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.operation = operation
        self.fc = nn.Linear(features, 5)

    def forward(self, x):
        x = self.operation(self.conv(x))
        return self.fc(x.mean((2, 3)) if x.dim() == 4 else x)


class _Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        n, c, _, _ = x.shape
        x = torch.cat((self.token.expand(n, -1, -1), x.flatten(2).transpose(1, 2)), 1)  # (N, 1 + H * W, C)
        q, k, v = self.qkv(self.norm(x)).reshape(n, -1, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, -1, c)
        return x[:, 0]


class _Standardized(nn.Conv2d):
    def forward(self, x):
        weight = self.weight / self.weight.std((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class _Branches(nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, 1)
        if self.training:
            a = a * 0
        return torch.cat([a * 2 - b, F.pad(b[:, :3, ::2, 1:], (1, 0, 5, 4))[..., : x.shape[-2], :]], 1)


class _Branch(nn.Module):
    def forward(self, x):
        a, b = x.split([3, 5], dim=1)
        return torch.cat([b, -a / 3, x.unsqueeze(1).squeeze(1)], dim=1)


OPERATIONS = {
    "batch norm after a ReLU": (nn.Sequential(nn.ReLU(), nn.BatchNorm2d(8)), 8),
    "batch norm whose input is read twice": (lambda x: x + F.relu(x), 8),
    "silu": (nn.SiLU(), 8),
    "mish": (nn.Mish(), 8),
    "gelu": (nn.GELU(), 8),
    "gelu by tanh": (nn.GELU(approximate="tanh"), 8),
    "hard swish": (F.hardswish, 8),
    "hard sigmoid": (nn.Hardsigmoid(), 8),
    "hardtanh": (nn.Hardtanh(-0.5, 0.7), 8),
    "clamp": (lambda x: x.clamp(min=0.1), 8),
    "leaky relu": (nn.LeakyReLU(0.2), 8),
    "elu": (nn.ELU(0.7), 8),
    "softmax": (lambda x: x.softmax(1), 8),
    "adaptive pooling that divides": (nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten()), 128),
    "adaptive pooling that does not": (nn.Sequential(nn.AdaptiveAvgPool2d((3, 5)), nn.Flatten()), 120),
    "adaptive pooling to more": (nn.Sequential(nn.MaxPool2d(8), nn.AdaptiveAvgPool2d(3), nn.Flatten()), 72),
    "adaptive maximum": (nn.AdaptiveMaxPool2d(1), 8),
    "max pooling as a function": (lambda x: F.max_pool2d(x, 3, 2, padding=1, ceil_mode=True), 8),
    "mean over the channels": (lambda x: x.mean(1).flatten(1), 256),
    "same padding": (nn.Conv2d(8, 8, 4, padding="same", dilation=2), 8),
    "weights that are computed": (_Standardized(8, 8, 3), 8),
    "attention": (_Attention(), 8),
    "group norm": (nn.GroupNorm(4, 8), 8),
    "nearest interpolation": (nn.Upsample(scale_factor=1.5), 8),
    "bilinear interpolation": (lambda x: F.interpolate(x, (9, 23), mode="bilinear"), 8),
    "bilinear with corners": (nn.Upsample((20, 20), mode="bilinear", align_corners=True), 8),
    "a stack and its sum": (lambda x: torch.stack([x, F.relu(x)], 1).sum(1), 8),
    "reflected padding": (lambda x: F.pad(x, (1, 2, 0, 1), mode="reflect"), 8),
    "parts, padding and slices": (_Branches(), 7),
    "parts of given lengths": (_Branch(), 16),
}


def _answers(model, images):
    size = InputSpec(height=16, width=16, channels=3)
    graph = export_onnx(model, size=size, mean=(0.5,) * 3, std=(0.25,) * 3, classes=5)
    info = ArtifactInfo(
        name="n", labels=list("abcde"), input=size, numeric_kind=NumericKind.FLOAT32, opset=17, recipe_hash=""
    )
    runtime = open_runtime(pack(graph, info))
    try:
        return np.concatenate([runtime.run(images[:1]), runtime.run(images[1:])])
    finally:
        runtime.close()


@pytest.mark.parametrize("name", OPERATIONS)
def test_it_answers_as_in_torch_for_any_number_of_images(name):
    torch.manual_seed(1)
    operation, features = OPERATIONS[name]
    model = _Net(operation, features).eval()
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.uniform_(-0.5, 0.5)
        norm.running_var.uniform_(0.5, 2)
    spec = NetworkSpec(model="x", classes=5, channels=3, image_size=16)
    images = photographs(4, spec)
    np.testing.assert_allclose(_answers(model, images), answers_of(model, images), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (nn.Softplus(), "Softplus"),
        (nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"), "operation: its padding is reflect"),
        (lambda x: x.cumsum(1), "cumsum"),
        (lambda x: x if x.sum() > 0 else -x, "cannot be traced"),
        (lambda x: F.pad(x, (1, 1, 1, 1), mode="circular"), "padding of the kind 'circular'"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(operation, message):
    with pytest.raises(ModelError, match=message):
        _answers(_Net(operation).eval(), None)


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "deit_tiny_patch16_224", "nf_resnet26", "dla34"])
def test_networks_of_timm_are_saved_and_exported(name, tmp_path):
    spec = NetworkSpec(model=f"timm:{name}", classes=5, channels=3, image_size=32)
    model = lively(spec)
    path = tmp_path / "n.safetensors"
    path.write_bytes(save_state(model, spec))
    images = photographs(3, spec)
    wanted = answers_of(model, images)
    np.testing.assert_array_equal(answers_of(load_state(path)[0], images), wanted)
    size = InputSpec(height=32, width=32, channels=3)
    graph = export_onnx(model, size=size, mean=(0.5,) * 3, std=(0.25,) * 3, classes=5)
    info = ArtifactInfo(
        name="n", labels=list("abcde"), input=size, numeric_kind=NumericKind.FLOAT32, opset=17, recipe_hash=""
    )
    runtime = open_runtime(pack(graph, info))
    found = runtime.run(images)
    runtime.close()
    np.testing.assert_allclose(found, wanted, atol=1e-4 * max(1.0, float(np.ptp(wanted))))


@pytest.mark.slow
@pytest.mark.parametrize("width", [1.0, 2.5])
def test_a_transformer_in_int8_stays_close(width):
    plan = static.StaticPlan(samples=32, ranges=(static.MINMAX,))
    spec = NetworkSpec(model="timm:deit_tiny_patch16_224", classes=5, channels=3, image_size=32)
    model = build(spec, seed=1)
    with torch.no_grad():  # 2.5: as wide as trained ones; the initial ones make all images alike
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and name not in {"cls_token", "pos_embed"}:
                parameter.mul_(width)
    images = photographs(64, spec)
    size = InputSpec(height=32, width=32, channels=3)
    graph = export_onnx(model, size=size, mean=(0.5,) * 3, std=(0.25,) * 3, classes=5)
    int8 = static.quantize(graph, images, plan, reporter=SilentReporter())
    info = ArtifactInfo(
        name="n", labels=list("abcde"), input=size, numeric_kind=NumericKind.INT8, opset=17, recipe_hash=""
    )
    runtime = open_runtime(pack(int8, info))
    found, wanted = runtime.run(images), answers_of(model, images)
    runtime.close()
    assert np.sqrt(np.mean((found - wanted) ** 2)) < 0.15 * wanted.std()


def test_names_of_timm_are_checked_without_importing_it():
    assert "timm:resnet18.a1_in1k" in MODELS
    assert "did you mean resnet18" in (MODELS.problem("timm:resnet_18") or "")
    for name in ("timm:", "timm:hf-hub:a/b", "timm:../x", "timm:resnet18;x"):
        assert name not in MODELS


def test_a_missing_timm_is_one_clear_sentence(monkeypatch):
    timm_names.cache_clear()
    monkeypatch.setattr("slimcast.catalog.open_networks.find_spec", lambda _name: None)
    recipe = '{name: r, model: {name: "timm:resnet18"}, data: {name: digits}, steps: [{kind: train}]}'
    with pytest.raises(RecipeError) as caught:
        parse_recipe(recipe)
    timm_names.cache_clear()
    assert caught.value.problems == [("model.name", f"unknown name 'timm:resnet18'; {TIMM_MISSING}")]


def test_timm_says_what_it_cannot_build():
    with pytest.raises(ModelError, match=r"timm cannot build 'resnet18\.nothing'"):
        build(NetworkSpec(model="timm:resnet18.nothing", classes=5, channels=3, image_size=32))
