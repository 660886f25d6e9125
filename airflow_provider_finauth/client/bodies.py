"""JSON out and in, with amounts kept as the vendor wrote them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from airflow_provider_finauth.exceptions import ConfigurationError

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

    :raises NotJson: another content type, no UTF-8, no JSON (``NaN`` is none), or a number without bounds
    """
    if not is_json(content_type):
        kind = (content_type or "").partition(";")[0].strip()
        raise NotJson(f"it is labelled {kind!r}")
    try:
        return _DECODER.decode(body.removeprefix(_BOM))
    except UnicodeDecodeError:
        raise NotJson("it is not valid UTF-8") from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except ArithmeticError:
        raise NotJson("it has a number with an exponent that is out of bounds") from None
    except msgspec.DecodeError:
        raise NotJson("it is empty" if not body.strip() else "it does not read as JSON") from None


def encode_json(value: Any) -> bytes:
    """Write JSON; a ``Decimal`` becomes a number."""
    return _ENCODER.encode(value)


def encode_request(value: Any) -> bytes:
    """Write a request's JSON body.

    :raises ConfigurationError: it holds what JSON has no form for; ``NaN`` and infinities are such
    """
    try:
        if _is_finite(value):
            return encode_json(value)
        problem = "it holds a number that is not finite"
    except RecursionError:
        problem = "it is nested too deeply"
    except UnicodeEncodeError:
        problem = "it holds a text that is not valid Unicode"
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
        problem = "it holds an object that JSON has no form for"
    raise ConfigurationError(f"Argument 'json' cannot be sent as JSON: {problem}.", field="json")


def _is_finite(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_finite, value)) and all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_finite, value))
    if isinstance(value, Decimal):
        return value.is_finite()
    return not isinstance(value, float) or math.isfinite(value)
