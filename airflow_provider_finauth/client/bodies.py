"""JSON out and in, with amounts kept as the vendor wrote them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

_BOM = b"\xef\xbb\xbf"
_DECODER = msgspec.json.Decoder(float_hook=Decimal)
# A Decimal that came as a number goes out as one.
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class NotJson(ValueError):
    """A body is not JSON; the text says why, and holds nothing of the body."""


def is_json(content_type: str | None) -> bool:
    """Tell whether a Content-Type announces JSON; an answer without one may be JSON."""
    if content_type is None:
        return True
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ("", "application/json", "text/json") or kind.endswith("+json")


def decode_json(body: bytes, content_type: str | None) -> Any:
    """Read a JSON body: numbers with a fraction or an exponent become ``Decimal``, others ``int``.

    :raises NotJson: another content type, no UTF-8, or no JSON (``NaN`` is none)
    """
    if not is_json(content_type):
        kind = (content_type or "").partition(";")[0].strip()[:60]
        raise NotJson(f"it is labelled {kind!r}")
    try:
        return _DECODER.decode(body.removeprefix(_BOM))
    except UnicodeDecodeError:
        raise NotJson("it is not valid UTF-8") from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except msgspec.DecodeError:
        raise NotJson("it is empty" if not body.strip() else "it does not read as JSON") from None


def encode_json(value: Any) -> bytes:
    """Write a JSON body; a ``Decimal`` becomes a number."""
    return _ENCODER.encode(value)
