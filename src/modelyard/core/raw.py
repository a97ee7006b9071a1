"""Byte-level JSON: an object is a dict of raw values, and only the values that must change are rewritten.

Every other value keeps its bytes (number spelling, escapes, inner white space). White space between top-level keys is
lost, and of a key given twice the last one stands.
"""

from typing import Any

import msgspec

Raw = msgspec.Raw
Fields = dict[str, Raw]

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])
_any = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()
_sorting_encoder = msgspec.json.Encoder(order="sorted")


class NotJson(ValueError):
    """The bytes are not the JSON that was expected. The text says where and why."""


def split(body: bytes) -> Fields:
    """Read a JSON object one level deep. Raises NotJson."""
    try:
        return _object.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotJson(_reason(error)) from None


def split_list(value: msgspec.Raw) -> list[msgspec.Raw]:
    """Read a JSON array one level deep. Raises NotJson."""
    try:
        return _list.decode(value)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotJson(_reason(error)) from None


def join(fields: Fields) -> bytes:
    """The bytes of an object from its raw values, in their order."""
    return _encoder.encode(fields)


def join_list(values: list[msgspec.Raw]) -> msgspec.Raw:
    """The raw value of an array from its raw items."""
    return msgspec.Raw(_encoder.encode(values))


def value_of(raw: msgspec.Raw) -> Any:
    """Decode one raw value. Raises NotJson."""
    try:
        return _any.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotJson(_reason(error)) from None


def raw_of(value: Any) -> msgspec.Raw:
    """Encode one value."""
    return msgspec.Raw(_encoder.encode(value))


def encode_sorted(value: object) -> bytes:
    """Plain values as JSON of one form: the keys of every object are in order."""
    return _sorting_encoder.encode(value)


def encode(value: Any) -> bytes:
    """Encode any JSON-like value or msgspec record."""
    return _encoder.encode(value)


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
