"""Where a request names a medium by its address, however that is spelled."""

import pytest

from modelyard.gateway.lanes import _names_an_address


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"image_url":{"url":"http://a"}}', True),
        (b'{"image_url" :\n "https://a"}', True),
        (b'{"url": "HTTPS://a"}', True),
        (b'{"file_data":"http://a"}', True),
        (b'{"url":"\\u0068ttp://a"}', True),
        (b'{"u\\u0072l":"http://a"}', True),
        (b'{"content":"see http://a"}', False),
        (b'{"content":"caf\\u00e9"}', False),
        (b'{"url":"data:image/png;base64,xx"}', False),
        (b"[]", False),
    ],
)
def test_addresses(body: bytes, names: bool) -> None:
    assert _names_an_address(body) is names
