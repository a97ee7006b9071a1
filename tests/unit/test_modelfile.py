import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.control.importers import modelfile as importer
from modelyard.control.modelfile.parameters import typed
from modelyard.control.modelfile.parsing import MAX_BYTES, ROLES, Instruction, Modelfile, is_path, parse
from modelyard.control.modelfile.writing import of_row, write
from modelyard.core.errors import Kind, Problem

ALL_OF_IT = '''# a comment
FROM llama3.2:3b-instruct-q4_K_M
  # another
parameter temperature 0.7
PARAMETER num_ctx 4096
PARAMETER stop "<|eot_id|>"
PARAMETER stop User:
TEMPLATE """{{ if .System }}{{ .System }}{{ end }}

{{ .Prompt }}"""
System """
You are "Mario".

# no comment
"""
ADAPTER ./lora.gguf
DRAFT ./small.gguf
RENDERER qwen3
PARSER qwen3
REQUIRES 0.14.0
LICENSE MIT
MESSAGE user Is Toronto in Canada?
MESSAGE assistant """yes
really"""
'''


def test_every_instruction_is_read_with_its_whole_value() -> None:
    read = parse(ALL_OF_IT)
    assert [(one.name, one.key, one.value) for one in read.instructions] == [
        ("from", "", "llama3.2:3b-instruct-q4_K_M"),
        ("parameter", "temperature", "0.7"),
        ("parameter", "num_ctx", "4096"),
        ("parameter", "stop", "<|eot_id|>"),
        ("parameter", "stop", "User:"),
        ("template", "", "{{ if .System }}{{ .System }}{{ end }}\n\n{{ .Prompt }}"),
        ("system", "", '\nYou are "Mario".\n\n# no comment\n'),
        ("adapter", "", "./lora.gguf"),
        ("draft", "", "./small.gguf"),
        ("renderer", "", "qwen3"),
        ("parser", "", "qwen3"),
        ("requires", "", "0.14.0"),
        ("license", "", "MIT"),
        ("message", "user", "Is Toronto in Canada?"),
        ("message", "assistant", "yes\nreally"),
    ]
    assert not read.notes


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("FROM llama3:8b", "llama3:8b"),
        ("from\tllama3", "llama3"),
        (
            "FROM   hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M  ",
            "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        ),
        ("FROM registry.example.com:5000/team/model:v1", "registry.example.com:5000/team/model:v1"),
        ("FROM llama3@sha256:0123abcd", "llama3@sha256:0123abcd"),
        ('FROM "FOO  BAR  "', "FOO  BAR  "),
        ("FROM /what/is/the path ", "/what/is/the path"),
        ("FROM lemons make lemonade ", "lemons make lemonade"),
        ("FROM llama3 # the base", "llama3"),
        ("FROM ./my#model.gguf", "./my#model.gguf"),
        ("FROM ./a.gguf # tuned", "./a.gguf"),
    ],
)
def test_names_tags_digests_and_paths_of_a_base_are_kept_whole(line: str, value: str) -> None:
    assert parse(line).last("from") == value


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("PARAMETER temperature 0.7 # warm", "0.7"),
        ("PARAMETER use_mmap true\t# fast", "true"),
        ('PARAMETER stop "###" # a heading', "###"),
        ("PARAMETER stop ###", "###"),
        ("PARAMETER stop a # b", "a # b"),
        ("SYSTEM You are # 1", "You are # 1"),
        ('SYSTEM "You are # 1" # really', "You are # 1"),
        ('SYSTEM """You\nare # 1""" # really', "You\nare # 1"),
        ('SYSTEM """x = \'a\' # b\ny""" # c\n\nPARAMETER top_k 1', "x = 'a' # b\ny"),
        ('SYSTEM """doc = """x""" # python\nmore of it"""', 'doc = """x""" # python\nmore of it'),
        ('SYSTEM "say "hi" # all"', 'say "hi" # all'),
        ("SYSTEM ", ""),
        ('SYSTEM ""', ""),
        ("SYSTEM 'single'", "'single'"),
        ('SYSTEM "   two\nlines "', "   two\nlines "),
    ],
)
def test_a_comment_behind_a_value_is_one_only_where_the_value_cannot_hold_it(line: str, value: str) -> None:
    assert parse(f"{line}\nFROM x").instructions[0].value == value


def test_what_ollama_would_read_otherwise_is_said() -> None:
    notes = parse("FROM a # b\nPARAMETER temperature 1 # c\nSYSTEM d # e\nTEMPLATE f").notes
    assert [note.partition(":")[0] for note in notes] == ["Line 1", "Line 2", "Line 3"]
    assert "left out" in notes[0]
    assert "part of the value" in notes[2]


@pytest.mark.parametrize("encode", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_marks_of_other_systems_change_nothing(encode: str) -> None:
    assert parse(ALL_OF_IT.replace("\n", "\r\n").encode(encode)).instructions == parse(ALL_OF_IT).instructions


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no FROM line"),
        ("PARAMETER temperature 1", "no FROM line"),
        ("FROM x\nBADCOMMAND a", "Line 2: an instruction must be one of ADAPTER"),
        ("FROM x\nPARAMETER temperature", "Line 2: PARAMETER must be followed by the name of a parameter and a value"),
        ("FROM x\nPARAMETER", "Line 2: PARAMETER must"),
        ("FROM x\nMESSAGE badguy hi", "Line 2: the role of a message must be one of system, user, assistant"),
        ("FROM x\nMESSAGE user", "Line 2: MESSAGE must be followed by the role and a value"),
        ('FROM x\nSYSTEM """open\nfor ever', 'Line 2: the quote """ is never closed'),
        ('FROM x\nSYSTEM "open', 'Line 2: the quote " is never closed'),
        ('FROM x\nSYSTEM """""', "Line 2"),
        ("FROM ", "Line 1: FROM has no value"),
        ("FROM x\n" + "PARAMETER stop a\n" * 10_001, "more than 10000 instructions"),
    ],
)
def test_a_broken_file_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(Problem) as raised:
        parse(text)
    assert said in raised.value.message
    assert raised.value.kind is Kind.MALFORMED


def test_what_is_no_text_or_too_large_is_refused() -> None:
    with pytest.raises(Problem, match="not UTF-8"):
        parse(b"FROM \xff\xc3\x28")
    with pytest.raises(Problem) as raised:
        parse("#" * (MAX_BYTES + 1))
    assert raised.value.kind is Kind.TOO_LARGE


def test_a_file_of_nothing_but_open_quotes_is_read_in_time_that_grows_with_it() -> None:
    with pytest.raises(Problem):
        parse('SYSTEM """\n' + '""" # x\n\n x\n' * 100_000)


@pytest.mark.parametrize("line", ["FROM a{}b", "ADAPTER ./a{}b", "PARAMETER stop a{}b", "REQUIRES a{}b"])
def test_a_line_of_nothing_but_space_is_read_in_time_that_grows_with_it(line: str) -> None:
    long = " " * 1_000_000
    assert parse(line.format(long) + "\nFROM x").instructions[0].value.endswith(f"a{long}b")
    assert parse("PARAMETER top_k " + "1" * 1_000_000 + "x\nFROM x").instructions


text = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff") | st.sampled_from('"""\n\t #')
)
words = st.from_regex(re.compile(r"[A-Za-z0-9._:/-]{1,20}", re.ASCII), fullmatch=True)
instructions = st.one_of(
    st.builds(Instruction, st.just("from"), words),
    st.builds(Instruction, st.sampled_from(["system", "template", "license"]), text),
    st.builds(Instruction, st.just("message"), text.filter(lambda value: value.strip()), st.sampled_from(ROLES)),
    st.builds(Instruction, st.just("parameter"), text.filter(bool), st.sampled_from(["stop", "temperature", "x_1"])),
    st.builds(Instruction, st.sampled_from(["adapter", "draft", "renderer", "parser", "requires"]), words),
)


@given(st.lists(instructions, max_size=6), words)
def test_what_is_written_is_read_the_same(found: list[Instruction], base: str) -> None:
    wanted = Modelfile((Instruction("from", base), *found))
    try:
        written = write(wanted)
    except ValueError:
        # A line in the middle ends in quotes of both kinds: no Modelfile says that.
        assert any(re.search(r'"[^\S\n]*\n', one.value) for one in found)
        return
    assert parse(written).instructions == wanted.instructions
    assert write(parse(written)) == written


@given(st.text())
def test_any_text_is_read_or_refused_in_a_sentence(content: str) -> None:
    try:
        read = parse(content)
    except Problem:
        return
    assert parse(write(read)).instructions == read.instructions


def test_parameters_have_the_types_of_ollama() -> None:
    values, dropped = typed(
        parse(
            "FROM x\nPARAMETER num_ctx 4096\nPARAMETER temperature 0.5\nPARAMETER temperature 0.9\nPARAMETER use_mmap F\n"
            "PARAMETER stop a\nPARAMETER stop b\nPARAMETER top_k many\nPARAMETER low_vram true\nPARAMETER colour red\n"
            "PARAMETER top_p nan\nPARAMETER seed 1_0"
        ).every("parameter")
    )
    assert values == {"num_ctx": 4096, "temperature": 0.9, "use_mmap": False, "stop": ["a", "b"]}
    assert [one.name for one in dropped] == ["top_k", "low_vram", "colour", "top_p", "seed"]


def test_an_import_makes_a_preset_and_names_what_has_no_effect() -> None:
    carried = importer.read(ALL_OF_IT.encode(), "mario", "It's me")
    (model,) = carried.yard.models
    assert (model.id, model.name, model.base_model_id) == ("mario", "It's me", "llama3.2:3b-instruct-q4_K_M")
    assert model.params == {
        "temperature": 0.7, "num_ctx": 4096, "stop": ["<|eot_id|>", "User:"],
        "system": '\nYou are "Mario".\n\n# no comment\n',
    }  # fmt: skip
    assert model.meta == {"ollama": {"modelfile": ALL_OF_IT}}
    assert [one.place for one in carried.left] == [
        "TEMPLATE", "ADAPTER", "DRAFT", "RENDERER", "PARSER", "REQUIRES", "LICENSE", "MESSAGE user", "MESSAGE assistant",
    ]  # fmt: skip
    assert carried.yard.model_fields_set == {"models"}


def test_what_was_imported_is_exported_as_it_was() -> None:
    (model,) = importer.read(ALL_OF_IT, "mario").yard.models
    exported, notes = of_row("mario", "mario", model.base_model_id, model.params, model.meta)
    assert sorted(map(repr, parse(exported).instructions)) == sorted(
        re.sub(r"line=\d+", f"line={line}", repr(one))
        for one in parse(ALL_OF_IT).instructions
        for line in [next(found.line for found in parse(exported).instructions if found == one)]
    )
    assert not notes


@pytest.mark.parametrize(
    "base", ["./model.gguf", "/models/blobs/sha256-00e1", "~/x", "C:\\m.gguf", "a.safetensors", "."]
)
def test_a_base_that_is_a_file_needs_a_name_to_stand_on(base: str) -> None:
    assert is_path(base)
    with pytest.raises(Problem, match="FROM names a file"):
        importer.read(f"FROM {base}", "mine")
    carried = importer.read(f"FROM {base}", "mine", base="mine:latest")
    assert carried.yard.models[0].base_model_id == "mine:latest"
    assert [one.place for one in carried.left] == ["FROM"]


def test_an_export_says_what_ollama_has_no_word_for() -> None:
    params: dict[str, Any] = {
        "system": "It is {{CURRENT_DATE}}.", "max_tokens": 100, "temperature": 1.0, "stop": ["#", " x", "a\nb"],
        "reasoning_effort": "low", "tfs_z": 1, "mirostat": 2, "function_calling": "native",
        "custom_params": {"num_ctx": "2048", "keep_alive": "5m"},
    }  # fmt: skip
    exported, notes = of_row("p", "A\nname", "llama3:8b", params, {"tags": [{"name": "x"}], "hidden": False})
    assert exported.startswith("# A name\nFROM llama3:8b\n")
    read = parse(exported)
    assert not read.notes
    values, dropped = typed(read.every("parameter"))
    assert not dropped
    assert values == {
        "num_predict": 100,
        "temperature": 1.0,
        "stop": ["#", " x", "a\nb"],
        "mirostat": 2,
        "num_ctx": 2048,
    }
    assert read.last("system") == "It is {{CURRENT_DATE}}."
    told = " ".join(notes)
    for name in ("reasoning_effort", "tfs_z", "mirostat", "function_calling", "keep_alive", "meta.tags", "VARIABLES"):
        assert name in told
    assert not re.search(r"params\.(temperature|stop|num_ctx|max_tokens)", told)


def test_an_export_of_a_text_that_no_modelfile_holds_says_so() -> None:
    exported, notes = of_row("p", "p", "b", {"system": 'a """\nb"\nc'}, {})
    assert parse(exported).last("system") == "a '''\nb\"\nc"
    assert any("no Modelfile can hold" in note for note in notes)


def test_a_name_is_found_in_the_name_of_the_file() -> None:
    assert importer.id_of("Modelfile.mario") == importer.id_of("mario.modelfile") == importer.id_of("mario") == "mario"
    with pytest.raises(Problem):
        importer.id_of("Modelfile")
