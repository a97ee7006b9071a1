"""Pictures of models: what is taken, what is put back, what lists show."""

import base64

import pytest

from modelyard.control.catalogue.images import DEFAULT, KEEP, MAX_IMAGE_BYTES, image_of, listed, put_back, take_image
from modelyard.core.errors import Problem

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8


def uri(content, label="image/png"):
    return f"data:{label};base64,{base64.b64encode(content).decode()}"


def test_an_uploaded_picture_leaves_meta_and_comes_back():
    meta = {"description": "x", "profile_image_url": uri(PNG)}
    kept, image = take_image(meta)
    assert kept == {"description": "x"}
    assert put_back(kept, image) == meta
    assert listed(kept, "a/b ?&#ü", True) == {
        "description": "x",
        "profile_image_url": "/api/v1/models/model/profile/image?id=a%2Fb%20%3F%26%23%C3%BC",
    }


def test_the_path_that_lists_show_means_unchanged():
    for path in (listed({}, "a/b", True)["profile_image_url"], "/api/v1/models/model/profile/image?id=x&lang=de"):
        assert take_image({"profile_image_url": path, "kept": 1}) == ({"kept": 1}, KEEP)


@pytest.mark.parametrize("url", ["https://a.example/x.png?y#z", "http://[::1]:8080/x", "/static/favicon.png", None])
def test_an_address_stays_in_meta(url):
    meta = {"profile_image_url": url}
    assert take_image(meta) == (meta, None)
    assert listed(meta, "m", False) == meta
    assert image_of(meta, None) is DEFAULT


def test_the_largest_picture_is_taken_and_one_byte_more_is_not():
    largest = PNG + b"\x00" * (MAX_IMAGE_BYTES - len(PNG))
    assert take_image({"profile_image_url": uri(largest)})[1] == uri(largest)
    assert image_of({}, uri(largest)).content == largest
    with pytest.raises(Problem):
        take_image({"profile_image_url": uri(largest + b"\x00")})


def test_labels_are_read_in_any_case_and_jpg_is_jpeg():
    assert image_of({}, uri(PNG, "IMAGE/PNG")).media_type == "image/png"
    assert image_of({}, uri(b"\xff\xd8\xff\xe0", "image/jpg")).media_type == "image/jpeg"
    assert image_of({}, "DATA" + uri(PNG)[4:]).content == PNG


def test_a_picture_that_a_file_declares_is_served_and_listed_by_its_path():
    meta = {"profile_image_url": uri(PNG)}
    assert image_of(meta, None).content == PNG
    assert listed(meta, "m", False)["profile_image_url"].endswith("?id=m")


@pytest.mark.parametrize("stored", [uri(b"<svg/>", "image/svg+xml"), uri(b"<svg/>"), "data:nonsense", "javascript:1"])
def test_what_was_stored_behind_our_back_is_never_served(stored):
    assert image_of({}, stored) is DEFAULT
    assert image_of({"profile_image_url": stored}, None) is DEFAULT
