"""How long a server asks to be left alone: HTTP's Retry-After. Pure. Source: RFC 9110, section 10.2.3."""

import email.utils
import re
from datetime import UTC

LONGEST_S = 86400.0
"""No server can make us wait longer than this unless the caller says so."""


def retry_after_s(value: str | None, now: float, *, longest_s: float = LONGEST_S) -> float | None:
    """Seconds to wait, in [0, longest_s]; None where the header is absent or says nothing that can be read.

    value: of the header, seconds or an HTTP date in any of its three forms. now: Unix seconds.
    """
    text = (value or "").strip()[:64]
    if re.fullmatch(r"[0-9]+", text):
        return min(float(text), longest_s)
    try:
        date = email.utils.parsedate_to_datetime(text)
        # An HTTP date is in GMT whether it says so or not (RFC 9110, section 5.6.7).
        at = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, at - now), longest_s)
