"""Which orders a device obeys."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from slimcast_edge.deploy.state import Deployment
from slimcast_edge.errors import Refusal, SignatureError, SlimcastError
from slimcast_edge.signing import find_signer
from slimcast_edge.wire import Desired, decode


class Refused(SlimcastError):
    """An order that is well-formed and not obeyed.

    Attributes:
        reason: machine-readable cause. revision: the one that the order claims.

    """

    def __init__(self, reason: Refusal, revision: int, message: str) -> None:
        super().__init__(message)
        self.reason, self.revision = reason, revision


def judge(
    payload: bytes, *, keys: Sequence[Ed25519PublicKey], site: str, device: str, now: Deployment
) -> tuple[Desired, Ed25519PublicKey]:
    """Return the order, and who signed it, if it is to be obeyed: for this device, not older than the last.

    Raises:
        WireError: malformed or too large.
        Refused: with the reason.

    """
    claimed = decode(Desired, "desired", payload)
    revision = claimed.revision
    if not keys:
        raise Refused(
            Refusal.WRONG_SIGNATURE,
            revision,
            "No studio's key is pinned on this device. Pin it with: slimcast-edge enroll --key KEY",
        )
    try:
        desired, signer = find_signer(payload, keys)
    except SignatureError as error:
        raise Refused(Refusal.WRONG_SIGNATURE, revision, str(error)) from error
    if (desired.site, desired.device) != (site, device):
        raise Refused(
            Refusal.WRONG_SIGNATURE,
            revision,
            f"The order is for {desired.site}/{desired.device}; this device is {site}/{device}.",
        )
    if revision < now.revision:
        raise Refused(
            Refusal.OLDER_REVISION,
            revision,
            f"Revision {revision} is older than {now.revision}, which this device has already accepted.",
        )
    if revision == now.revision and now.order is not None and desired.artifact != now.order.artifact:
        raise Refused(
            Refusal.OLDER_REVISION,
            revision,
            f"Revision {revision} was accepted with another artifact. A new artifact needs a new revision.",
        )
    return desired, signer
