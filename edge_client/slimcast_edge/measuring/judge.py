"""Which orders to measure or to compare something a device obeys."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from slimcast_edge.errors import SettingsError, SignatureError, SlimcastError
from slimcast_edge.signing import C, open_signed_command
from slimcast_edge.wire import ArtifactRef, Compare, Measure

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_REMEMBERED = 1000


class NotObeyed(SlimcastError):
    """An order that is well-formed and not carried out, or could not be; the text goes to the studio."""


class Judge:
    """Obeys each order once: signed, for this device, and for this session of it."""

    def __init__(
        self,
        *,
        site: str,
        device: str,
        session: str,
        keys: "Callable[[], Sequence[Ed25519PublicKey]]",
        max_bytes: int,
    ) -> None:
        self._identity, self._keys, self._max_bytes = (site, device, session), keys, max_bytes
        self._seen: deque[str] = deque(maxlen=_REMEMBERED)

    def judge(self, kind: type[C], payload: bytes) -> C | None:
        """Return the order if it is to be obeyed; None where it has been already.

        Raises:
            WireError: malformed or too large.
            NotObeyed: and why.

        """
        try:
            keys = self._keys()
            if not keys:
                raise SignatureError(
                    "No studio's key is pinned on this device. Pin it with: slimcast-edge enroll"
                )
            order = open_signed_command(kind, payload, *keys)
        except (SettingsError, SignatureError) as error:
            raise NotObeyed(str(error)) from error
        if (order.site, order.device, order.session) != self._identity:
            raise NotObeyed("The order is for another device, or for an earlier start of this one.")
        named = _named(order)
        if not named or any(ref.size_bytes > self._max_bytes for ref in named):
            limit = f"{self._max_bytes / 1e6:.1f} MB"
            raise NotObeyed(f"The order names nothing, or more than the {limit} that this device takes.")
        if order.id in self._seen:
            return None
        self._seen.append(order.id)
        return order


def _named(order: Measure | Compare) -> list[ArtifactRef]:
    if isinstance(order, Compare):
        return [order.model]
    return [*order.models, *([order.layers.artifact] if order.layers else [])]
