"""One dial: how small? It and the choice of network and data write a whole recipe, by the rules below.

==  =================  ==========  ==================  =====================  =======
 #  what it says       MACs kept   rounds of pruning   fine-tuning, times     numbers
==  =================  ==========  ==================  =====================  =======
 1  Same shape, int8   100 %       none                none                   int8
 2  A little smaller   70 %        1                   1                      int8
 3  Much smaller       40 %        2                   1                      int8
 4  Small              25 %        3                   1.5                    int8
 5  As small as can    12 %        4                   2                      int8
==  =================  ==========  ==================  =====================  =======

By data: digits (1 797 images) trains 15 epochs in batches of 32, with 3 epochs between rounds and 8 at the
end; a folder of one's own, most often small, 10, 2 and 5 in batches of 32; larger sets 3, 1 and 2 in
batches of 128.
By network: channel counts become multiples of 8, which suits the kernels; of 4 where layers have as few as
12 or 16 channels, of 2 in LeNet-5. Fine-tuning takes half of the network's own learning rate, and has the
unpruned network as its teacher.
By weights: with those of a run, which fit the data, nothing is trained first; with other given weights, a
third of the epochs, since a new head has to be learnt.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from slimcast.catalog import DATA, MODELS
from slimcast.errors import RecipeError
from slimcast.recipe import Recipe, parse_recipe
from slimcast_web.services import recipe_text
from slimcast_web.services.compress import Draft, yaml_of


@dataclass(frozen=True, kw_only=True)
class Level:
    """A stop of the dial. `keep_macs`: per cent that stay. `finetune`: times the epochs that suit the set."""

    number: int
    title: str
    description: str
    keep_macs: int
    rounds: int = 1
    finetune: float = 1.0


LEVELS = (
    Level(
        number=1,
        title="Same shape, int8",
        description="Nothing is removed; weights and activations become 8-bit integers: a quarter the bytes.",
        keep_macs=100,
    ),
    Level(
        number=2,
        title="A little smaller",
        description="Three tenths of the arithmetic go, then int8. Rarely costs accuracy that one notices.",
        keep_macs=70,
    ),
    Level(
        number=3,
        title="Much smaller",
        description="Two fifths of the arithmetic stay, in two rounds, then int8. A good first try.",
        keep_macs=40,
        rounds=2,
    ),
    Level(
        number=4,
        title="Small",
        description="A quarter of the arithmetic stays, in three rounds with more training, then int8.",
        keep_macs=25,
        rounds=3,
        finetune=1.5,
    ),
    Level(
        number=5,
        title="As small as can",
        description="An eighth of the arithmetic stays, in four rounds with twice the training, then int8. "
        "Expect to lose accuracy.",
        keep_macs=12,
        rounds=4,
        finetune=2.0,
    ),
)
FIRST = LEVELS[2]

_ROUND_TO = {"lenet5": 2, "resnet20": 4, "resnet32": 4, "resnet56": 4, "densenet40": 4}
"""Multiples of channels for networks whose narrowest layers would not survive multiples of 8."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Epochs that suit a data set: before anything is removed, between rounds, at the end."""

    first: float
    between: float
    end: float
    batch_size: int


_DIGITS = Training(first=15, between=3, end=8, batch_size=32)
_OWN_IMAGES = Training(first=10, between=2, end=5, batch_size=32)
_LARGE_SET = Training(first=3, between=1, end=2, batch_size=128)


def training_for(data: str, weights: str = "none") -> Training:
    """Return how much training suits a data set and what the network begins with."""
    if data == "digits":
        suits = _DIGITS
    elif data in DATA and DATA[data].needs_path:
        suits = _OWN_IMAGES
    else:
        suits = _LARGE_SET
    if weights.startswith("run:"):
        first = 0.0
    else:
        first = suits.first if weights == "none" else max(1.0, float(round(suits.first / 3)))
    return Training(first=first, between=suits.between, end=suits.end, batch_size=suits.batch_size)


def round_to(model: str) -> int:
    """Return of what the channel counts of a network become multiples."""
    return _ROUND_TO.get(model, 8)


def recommended(
    model: str, data: str, path: str = "", *, level: Level = FIRST, weights: str = "none"
) -> Draft:
    """Return the choices that suit a network, data and a stop of the dial."""
    training = training_for(data, weights)
    return Draft(
        model=model,
        weights=weights,
        data=data,
        path=path if data in DATA and DATA[data].needs_path else "",
        keep_macs=level.keep_macs,
        rounds=level.rounds,
        round_to=round_to(model),
        epochs=training.first,
        between_epochs=training.between,
        finetune_epochs=training.end * level.finetune,
        finetune_rate=MODELS[model].learning_rate / 2 if model in MODELS else 0.0,
        batch_size=training.batch_size,
    )


def point_at(
    document: dict[str, Any], *, model: str, data: str, path: str = "", weights: str = "none"
) -> dict[str, Any]:
    """Return a recipe's document with another subject and the same steps; other data take other settings."""
    old = document.get("data")
    same = isinstance(old, dict) and old.get("name") == data
    section = dict(old) if same and isinstance(old, dict) else {"name": data}
    section.pop("path", None)
    if data in DATA and DATA[data].needs_path and path:
        section["path"] = path
    network = {"name": model} | ({"weights": weights} if weights != "none" else {})
    steps = document.get("steps")
    rest = str(document.get("name", "")).partition(f"-{recipe_text.get(document, 'data.name')}")[2]
    subject = Draft(model=model, data=data, keep_macs=100, quantize="").name
    return document | {"name": f"{subject}{rest}"[:100], "model": network, "data": section, "steps": steps}


def for_subject(text: str, *, model: str, data: str, path: str = "", weights: str = "none") -> str:
    """Return a recipe for another subject: written anew where the dial wrote it, else with its own steps."""
    level, document = level_of(text), recipe_text.read(text)
    if level is not None:
        return yaml_of(recommended(model, data, path, level=level, weights=weights))
    if document is None:
        return text
    return recipe_text.write(point_at(document, model=model, data=data, path=path, weights=weights))


def for_folder(text: str, path: str) -> str:
    """Return a recipe for a folder of images, with the network and weights that it has."""
    document = recipe_text.read(text)
    model, weights = (recipe_text.get(document, f"model.{name}") for name in ("name", "weights"))
    return for_subject(text, model=str(model or ""), data="folder", path=path, weights=str(weights or "none"))


def with_weights(text: str, weights: str) -> str:
    """Return a recipe that begins with other weights of its network."""
    document = recipe_text.read(text)
    names = {"model": "model.name", "data": "data.name", "path": "data.path"}
    subject = {name: str(recipe_text.get(document, path) or "") for name, path in names.items()}
    return for_subject(text, **subject, weights=weights)


def recipe_for(model: str, data: str, level: Level, *, path: str = "", weights: str = "none") -> Recipe:
    """Return the recipe that the dial writes.

    Raises:
        RecipeError: there is no such network or data set, or the data need a path and none is given.

    """
    return parse_recipe(yaml_of(recommended(model, data, path, level=level, weights=weights)))


@lru_cache(maxsize=128)
def level_of(text: str) -> Level | None:
    """Return the stop of the dial that writes this recipe, whatever its name; None for steps of one's own."""
    try:
        given = parse_recipe(text)
    except RecipeError:
        return None
    subject = {"path": given.data.path or "", "weights": given.model.weights}
    for level in LEVELS:
        written = recipe_for(given.model.name, given.data.name, level, **subject)
        if written.model_copy(update={"name": given.name}) == given:
            return level
    return None
