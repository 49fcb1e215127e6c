"""A network of one's own, named in a recipe as ``package.module:function``.

Importing a module runs it: such a name is for recipes that a person starts on this machine, and refused where
a recipe comes from a browser (`slimcast_web.services.compress`).
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from torch import nn

from slimcast.errors import ModelError


def own_builder(name: str) -> Callable[..., nn.Module]:
    """Return the function ``build(classes=, channels=, image_size=)`` that a name stands for.

    The module may lie in the working directory, as it may for ``python -m``.

    Raises:
        ModelError: the module or the function is missing, or cannot be imported; later, from the function
            itself: it fails, or makes no network.
    """
    module_name, _, function_name = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        function = getattr(import_module(module_name), function_name)
    except Exception as error:  # whatever the module raises while it is imported
        raise ModelError(f"Cannot import the network {name}: {type(error).__name__}: {error}.") from error

    def build(*, classes: int, channels: int, image_size: int) -> nn.Module:
        try:
            model = function(classes=classes, channels=channels, image_size=image_size)
        except Exception as error:  # the function is somebody else's
            raise ModelError(
                f"{name}(classes={classes}, channels={channels}, image_size={image_size}) failed: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not isinstance(model, nn.Module):
            raise ModelError(f"{name} must return a torch.nn.Module, not {type(model).__name__}.")
        return model

    return build
