"""Which orders to measure something a device obeys."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from slimcast_edge.errors import SettingsError, SignatureError, SlimcastError
from slimcast_edge.signing import open_signed_measure
from slimcast_edge.wire import Measure, decode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_REMEMBERED = 1000


class NotMeasured(SlimcastError):
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

    def judge(self, payload: bytes) -> Measure | None:
        """Return the order if it is to be obeyed; None where it has been already.

        Raises:
            WireError: malformed or too large.
            NotMeasured: and why.

        """
        claimed = decode(Measure, "cmd/measure", payload)
        try:
            keys = self._keys()
            if not keys:
                raise SignatureError(
                    "No studio's key is pinned on this device. Pin it with: slimcast-edge enroll"
                )
            order = open_signed_measure(payload, *keys)
        except (SettingsError, SignatureError) as error:
            raise NotMeasured(str(error)) from error
        if (order.site, order.device, order.session) != self._identity:
            raise NotMeasured("The order is for another device, or for an earlier start of this one.")
        named = [*order.models, *([order.layers.artifact] if order.layers else [])]
        if not named or any(ref.size_bytes > self._max_bytes for ref in named):
            limit = f"{self._max_bytes / 1e6:.1f} MB"
            raise NotMeasured(f"The order names nothing, or more than the {limit} that this device takes.")
        if claimed.id in self._seen:
            return None
        self._seen.append(claimed.id)
        return order
