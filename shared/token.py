"""Does a request carry the right token?"""

import base64
import binascii
import hmac


def check_token(expected: str, authorization_header: str | None) -> bool:
    """Whether `Authorization` holds `expected`: as `Bearer <token>`, or as the password of `Basic`.

    No token expected: everybody may. The comparison takes the same time wherever the first difference is.
    """
    if not expected:
        return True
    scheme, _, credential = (authorization_header or "").partition(" ")
    if scheme.lower() == "basic":
        given = _password(credential.strip())
    elif scheme.lower() == "bearer":
        # Servers hand headers over as Latin-1, whatever bytes the client sent.
        given = credential.strip().encode("latin-1", "replace")
    else:
        given = b""
    return hmac.compare_digest(given, expected.encode())


def _password(credential: str) -> bytes:
    try:
        user_and_password = base64.b64decode(credential, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return user_and_password.partition(b":")[2]
