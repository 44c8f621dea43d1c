"""Which names of topics and subscriptions the service takes, as Google's own emulator does."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(
    r"projects/[a-z0-9.:-]+"
    r"/(topics|subscriptions)/(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
)


def is_valid(name: str, collection: str) -> bool:
    """Return whether `name` may be one of `collection`, which is `topics` or `subscriptions`."""
    found = _NAME.fullmatch(name)
    return found is not None and found[1] == collection
