"""The fields of a form with files (RFC 7578), as if they had come in a JSON object."""

from email.message import Message
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser


class NotAForm(ValueError):
    """The body is not what its content type says."""


class _Part:
    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.name = self.value = b""
        self.data: list[bytes] = []

    def entry(self) -> tuple[str, Any]:
        """Its name, and its text; or what file it is."""
        head = Message()
        head["content-disposition"] = self.headers.get("content-disposition", "")
        name = str(head.get_param("name", "", "content-disposition"))
        content = b"".join(self.data)
        filename = head.get_filename()
        if filename is None:
            return name, content.decode("utf-8", "replace")
        return name, {"media_type": self.headers.get("content-type", ""), "bytes": len(content), "name": filename}


def fields(content_type: str, body: bytes) -> dict[str, Any]:
    """Each field's text; of a file {media_type, bytes, name}. Of several fields with one name the last counts."""
    head = Message()
    head["content-type"] = content_type
    boundary = head.get_boundary()
    if not boundary:
        raise NotAForm("the content type names no boundary")
    parts: list[_Part] = []

    def end_header() -> None:
        part = parts[-1]
        part.headers[part.name.decode("latin-1").lower()] = part.value.decode("utf-8", "replace")
        part.name = part.value = b""

    def add_name(data: bytes, start: int, end: int) -> None:
        parts[-1].name += data[start:end]

    def add_value(data: bytes, start: int, end: int) -> None:
        parts[-1].value += data[start:end]

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": lambda: parts.append(_Part()),
            "on_header_field": add_name,
            "on_header_value": add_value,
            "on_header_end": end_header,
            "on_part_data": lambda data, start, end: parts[-1].data.append(data[start:end]),
        },
    )
    try:
        parser.write(body)
        parser.finalize()
    except MultipartParseError as error:
        raise NotAForm(str(error)) from error
    return dict(part.entry() for part in parts)
