"""JSON out and in, with amounts kept as the vendor wrote them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from airflow_provider_finauth.exceptions import ConfigurationError

_T = TypeVar("_T")

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


def json_text(body: bytes, content_type: str | None) -> bytes:
    """Give a body that is labelled as JSON, without its BOM; whether it is JSON is not looked at.

    :raises NotJson: another content type, or no UTF-8
    """
    if not is_json(content_type):
        kind = (content_type or "").partition(";")[0].strip()
        raise NotJson(f"it is labelled {kind!r}")
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            raise NotJson("it is not valid UTF-8") from None
    return body.removeprefix(_BOM)


def decode_json(body: bytes, content_type: str | None) -> Any:
    """Read a JSON body: numbers with a fraction or an exponent become ``Decimal``, others ``int``.

    :raises NotJson: another content type, no UTF-8, no JSON (``NaN`` is none), or a number without bounds
    """
    return decode_any(_DECODER, json_text(body, content_type))


def decode_any(decoder: msgspec.json.Decoder[_T], text: bytes | msgspec.Raw) -> _T:
    """Run a decoder that takes JSON of any form.

    :raises NotJson: the text is no JSON, or has a number without bounds
    """
    try:
        return decode_text(decoder, text)
    except msgspec.ValidationError:
        raise NotJson("it has a number that is out of bounds") from None


def decode_text(decoder: msgspec.json.Decoder[_T], text: bytes | msgspec.Raw) -> _T:
    """Run a decoder.

    :raises NotJson: the text is no JSON, or has a number without bounds
    :raises msgspec.ValidationError: it is JSON of another form than the decoder's
    """
    try:
        return decoder.decode(text)
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except ArithmeticError:
        raise NotJson("it has a number with an exponent that is out of bounds") from None
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        raise NotJson("it is empty" if not bytes(text).strip() else "it does not read as JSON") from None


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
