"""The headers of a request, with the signature by which its receiver knows who sent it."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from freshet.webhook.core.delivery import Delivery

ID_HEADER: Final = "Freshet-Delivery"
SIGNATURE_HEADER: Final = "Freshet-Signature"


def signature(secret: str, time_s: int, body: bytes) -> str:
    """`t=TIME,v1=HEX`: the time of this try in Unix seconds, and the HMAC-SHA256 over `TIME.BODY`."""
    digest = hmac.new(secret.encode(), b"%d." % time_s + body, hashlib.sha256).hexdigest()
    return f"t={time_s},v1={digest}"


def request_headers(delivery: Delivery, secret: str, time_s: int) -> Mapping[str, str]:
    """All headers of one try; only the signature differs from try to try."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "freshet-webhook",
        ID_HEADER: delivery.source.id,
        SIGNATURE_HEADER: signature(secret, time_s, delivery.body),
    }
