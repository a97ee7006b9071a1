import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.core.seal import MASK, CannotOpen, Seal, is_masked, mask, new_token

OLD, NEW = "o" * 32, "n" * 32
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(texts)
def test_round_trip(text: str) -> None:
    sealed = Seal(OLD).close(text)
    assert Seal(OLD).open(sealed) == text
    assert len(text) < 8 or text not in sealed


def test_rotation() -> None:
    old, both, new = Seal(OLD), Seal(f"{NEW}, {OLD}"), Seal(NEW)
    sealed = old.close("secret")
    assert both.open(sealed) == "secret"
    again = both.close("secret")
    assert new.open(again) == "secret"
    assert both.digest("t") == new.digest("t") != old.digest("t")
    for seal, text in ((new, sealed), (old, again)):
        with pytest.raises(CannotOpen) as caught:
            seal.open(text)
        assert "MODELYARD_SECRET_KEY" in str(caught.value)
        assert "secret" not in str(caught.value).replace("secret key", "")


@pytest.mark.parametrize("garbage", ["", "x", "é", "gAAAAA", "\0"])
def test_garbage_cannot_be_opened(garbage: str) -> None:
    with pytest.raises(CannotOpen):
        Seal(OLD).open(garbage)


def test_a_comma_too_many_does_not_make_a_known_pepper() -> None:
    """`,key` must not key the digests with the empty string, which everybody knows."""
    assert Seal("," + OLD).digest("t") != Seal("," + NEW).digest("t")


@given(st.text(max_size=30))
def test_digests(token: str) -> None:
    try:
        digest = Seal(OLD).digest(token)
    except UnicodeEncodeError:
        assert any("\ud800" <= letter <= "\udfff" for letter in token)
        return
    assert len(digest) == 32
    assert digest == Seal(OLD).digest(token) != Seal(NEW).digest(token)


@given(texts)
def test_masks(secret: str) -> None:
    shown = mask(secret)
    assert is_masked(shown)
    assert len(shown) <= len(MASK) + 4
    if len(secret) < 16:
        assert shown == MASK
    else:
        assert shown == MASK + secret[-4:]


def test_what_is_not_a_mask() -> None:
    assert not is_masked("")
    assert not is_masked("sk-x")
    assert not is_masked(new_token("sk-my-"))
    assert len({new_token("sk-my-") for _ in range(100)}) == 100
    assert new_token("sk-my-").startswith("sk-my-")
