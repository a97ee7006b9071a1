"""The text of a document: whatever it says is read again as it was said, by our reader and by any other."""

import json
import random

import pytest
import yaml

from modelyard.control.yard import references
from modelyard.control.yard.reading import escaped, parsed, resolved
from modelyard.control.yard.writing import written

LETTERS = "a b:\n\n  #-'\"|>%@`{}[],&*!?\t\\ä漢🦉\u2028\x85\r\x07\ufeff~nul0.1e3=<\ud7ff\xa0\xad$é²_/()+"
WORDS = (
    "1e3", "1e-7", "0x10", "0o7", "yes", "No", "null", "~", "2024-01-01", "1:20", "=", "<<", "- a", "---", "...", "a: b",
    "a #b", "? a", ": a", "", "a:", "a ", "llama3:8b", ".inf", "12", "a:b c", "x" * 700, "${A}", "$${A}", "$$${A", "a\n---\nb",
    "a\n\n", "\na", " a\nb", "a\n b\n  c\n", "a\n\tb", "#a\nb", "- a\nb\n", "%a\nb", "a\n...\nb", "true", "a\n\n\nb\n\n\n",
)  # fmt: skip


def text(dice):
    if dice.random() < 0.2:
        return dice.choice(WORDS)
    return "".join(dice.choice(LETTERS) for _ in range(dice.randint(0, 9)))


def anything(dice, depth=0):
    chance = dice.random()
    if depth < 4 and chance < 0.2:
        return {text(dice): anything(dice, depth + 1) for _ in range(dice.randint(0, 3))}
    if depth < 4 and chance < 0.4:
        return [anything(dice, depth + 1) for _ in range(dice.randint(0, 3))]
    plain = (None, True, dice.randint(-(10**20), 10**20), dice.uniform(-1, 1) * 10 ** dice.randint(-30, 30), 0.0, 1e16)
    return text(dice) if chance < 0.8 else dice.choice(plain)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_written_is_read_as_it_was(seed):
    dice = random.Random(seed)
    for _ in range(60):
        said = {text(dice): anything(dice) for _ in range(3)}
        yaml_text = written(said)
        assert json.dumps(yaml.safe_load(yaml_text)) == json.dumps(said), yaml_text
        assert json.dumps(parsed(yaml_text)) == json.dumps(said)


@pytest.mark.parametrize("seed", range(5))
def test_text_is_never_taken_for_a_reference(seed):
    dice = random.Random(seed)
    for _ in range(300):
        said = "".join(dice.choice(["$", "{", "}", "A", "${A}", "_1"]) for _ in range(8))
        assert resolved(escaped(said), lambda name, path, whole: None) == said


def test_several_lines_are_written_as_several_lines():
    assert written({"a": "one\n two\n"}).endswith("a: |\n  one\n   two\n")
    assert written({"a": "ja: ä 🦉"}).endswith('a: "ja: ä 🦉"\n')


def test_no_two_secrets_have_one_name():
    awkward = {
        name: {"api_keys": ["1", "2"], "headers": {"X-Key-1": "3", "x_key_1": "4", "HEADER": "5"}}
        for name in ("a b", "a-b", "A_B", "ä b", "a b header x", "a b key 1", "a", "日本", "中国", "")
    }
    keys, headers = references.key_names(awkward), references.header_names(awkward)
    names = [name for found in keys.values() for name in found]
    names += [name for found in headers.values() for name in found.values()]
    assert len(names) == len(set(names)) == 50
    assert all(name.isascii() and name.replace("_", "").isalnum() for name in names)
    assert references.key_names({"cloud": {"api_keys": ["1"], "headers": {}}}) == {"cloud": ["MODELYARD_CLOUD_KEY_1"]}
