"""The names by which an exported document refers to the secrets of connections: derived, never stored."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

PREFIX = "MODELYARD_"


def key_names(connections: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Connection name to the names of its keys' variables, in the order of the keys."""
    names = _names(connections)
    return {
        connection: [names[connection, _key_part(index)] for index in range(len(fields["api_keys"]))]
        for connection, fields in connections.items()
    }


def header_names(connections: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Connection name to header to the name of its value's variable."""
    names = _names(connections)
    return {
        connection: {header: names[connection, _header_part(header)] for header in fields["headers"]}
        for connection, fields in connections.items()
    }


def known_keys(connection: str, secrets: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Variable to secret of one connection's keys: the exported name of each and its long one, which is always good."""
    found = {_long(connection, _key_part(index)): secret for index, secret in enumerate(secrets)}
    return {**found, **dict(zip(names, secrets, strict=True))}


def known_header(connection: str, header: str, name: str) -> frozenset[str]:
    """The variables that stand for the value of this header."""
    return frozenset({name, _long(connection, _header_part(header))})


def _key_part(index: int) -> str:
    return f"KEY_{index + 1}"


def _header_part(header: str) -> str:
    return f"HEADER_{header}"


def _names(connections: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """(connection, part) to variable. Two that would have one name have a digest of what they are behind it."""
    wanted = [(connection, part) for connection, fields in connections.items() for part in _parts(fields)]
    times = Counter(_short(connection, part) for connection, part in wanted)
    return {
        (connection, part): _short(connection, part)
        if times[_short(connection, part)] == 1
        else _long(connection, part)
        for connection, part in wanted
    }


def _parts(fields: Mapping[str, Any]) -> Iterable[str]:
    yield from (_key_part(index) for index in range(len(fields["api_keys"])))
    yield from (_header_part(header) for header in fields["headers"])


def _short(connection: str, part: str) -> str:
    return PREFIX + re.sub(r"[^A-Z0-9]+", "_", f"{connection}_{part}".upper()).strip("_")


def _long(connection: str, part: str) -> str:
    digest = hashlib.blake2b(f"{connection}\0{part}".encode(), digest_size=6).hexdigest().upper()
    return f"{_short(connection, part)}_{digest}"
