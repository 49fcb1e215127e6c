"""What the fields of a recipe's `data` must be to each other."""

from typing import Any

from slimcast.catalog import DATA


def data_problems(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Check what no single field can tell, whatever else is wrong with the document."""
    data = document.get("data")
    if not isinstance(data, dict):
        return []
    return _path(data) + _normalisation(data)


def _path(data: dict[str, Any]) -> list[tuple[str, str]]:
    name = data.get("name")
    if not isinstance(name, str) or name not in DATA:
        return []
    wanted, given = DATA[name].needs_path, data.get("path") is not None
    if wanted and not given:
        return [("data.path", f"missing; {name!r} needs the folder of its images")]
    if given and not wanted:
        return [("data.path", f"{name!r} has a place of its own; leave the path out")]
    return []


def _normalisation(data: dict[str, Any]) -> list[tuple[str, str]]:
    mean, std = data.get("mean"), data.get("std")
    if (mean is None) != (std is None):
        lacking = "std" if std is None else "mean"
        return [(f"data.{lacking}", "missing; mean and std go together")]
    if not isinstance(mean, list) or not isinstance(std, list):
        return []
    channels = data.get("channels")
    for key, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, 3) or (channels in (1, 3) and len(values) != channels):
            wanted = channels if channels in (1, 3) else "1 or 3"
            return [
                (f"data.{key}", f"must have {wanted} values, one for each channel, but has {len(values)}")
            ]
    if len(mean) != len(std):
        return [("data.std", f"must have as many values as mean, {len(mean)}, but has {len(std)}")]
    return []
