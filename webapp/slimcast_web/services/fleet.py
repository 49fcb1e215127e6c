"""Fleet."""
from slimcast_web.services.studio import Studio


def device_names(studio: Studio) -> list[str]:
    """Return the names of all devices, sorted."""
    return sorted(device.name for device in studio.hub.devices())
