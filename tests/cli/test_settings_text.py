"""Settings in four formats: read strictly, changed where asked, and every other line as its owner wrote it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.cli.settings_text import ABSENT, Entry, SettingsFault, change, get, read

OURS = Entry("name", "ours")

YAML = """\
# my own
name: mine   # keep
version: '1.0'
models:
    - name: "A"   # first
      roles: [ chat,edit ]

# how to write
rules:
    - one
    - two
"""
TOML = """\
# top
model = "m" # mine

[servers.x]
command = 'y'   # odd   spacing
"""


class TestYaml:
    def test_an_entry_goes_to_the_end_of_its_list_and_above_the_next_remark(self):
        changed = change("yaml", YAML, {("models", OURS, "key"): "t", ("models", OURS, "base"): "http://x/v1"})
        made = "    - name: ours\n      key: t\n      base: http://x/v1\n"
        assert changed == YAML.replace("\n# how", f"{made}\n# how")

    def test_an_entry_that_is_there_is_changed_in_place(self):
        changed = change("yaml", YAML, {("models", Entry("name", "A"), "key"): "t"})
        assert changed == YAML.replace("      roles: [ chat,edit ]\n", "      roles: [ chat,edit ]\n      key: t\n")

    def test_an_entry_is_taken_out_and_remarks_below_it_stay(self):
        text = YAML.replace("\n# how", "    - name: ours\n      key: t\n\n# how")
        assert change("yaml", text, {("models", OURS): ABSENT}) == YAML

    def test_a_value_is_changed_where_it_stands(self):
        # The remark stays in its column.
        assert change("yaml", YAML, {("name",): "yours"}) == YAML.replace("mine  ", "yours ")

    def test_a_text_that_looks_like_a_number_stays_one(self):
        assert change("yaml", YAML, {("version",): "2.0"}) == YAML.replace("1.0", "2.0")

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("", "a: x\n"),
            ("# only this", "# only this\na: x\n"),
            ("b: 1", "b: 1\na: x\n"),
            ("b:   [1,  2]\n", "b:   [1,  2]\na: x\n"),
            ("---\nb: 1\n", "---\nb: 1\na: x\n"),
            ("a: y # why\n", "a: x # why\n"),
            ("b: &b {c: 1}\nd: *b\n", "b: &b {c: 1}\nd: *b\na: x\n"),
            ("b: |\n  a: y\n\n\nc: 1\n", "b: |\n  a: y\n\n\nc: 1\na: x\n"),
            ("b: 1\r\n", "b: 1\r\na: x\r\n"),
        ],
    )
    def test_a_key_of_the_document(self, before, after):
        assert change("yaml", before, {("a",): "x"}) == after

    def test_a_list_at_the_top(self):
        assert change("yaml", "", {(OURS, "on"): True}) == "- name: ours\n  on: true\n"
        text = "- name: a  # first\n  on:   false\n"
        assert change("yaml", text, {(OURS, "on"): True}) == text + "- name: ours\n  on: true\n"

    @pytest.mark.parametrize(
        "text", ["a: [1", "a: 1\na: 2\n", "\ta: 1", "a: 1\n---\nb: 1\n", "a: !!python/object:x {}\n b"]
    )
    def test_what_can_not_be_read_is_refused(self, text):
        with pytest.raises(SettingsFault, match="no YAML"):
            read("yaml", text)

    def test_what_is_unusual_is_refused_rather_than_rewritten(self):
        text = "{models: [{name: a,\n   b: c}],\n x: {y:   1}}\n"
        with pytest.raises(SettingsFault, match="without touching the rest"):
            change("yaml", text, {("models", OURS, "key"): "t"})

    words = st.text("abc xyz", min_size=1, max_size=6).map(str.strip).filter(bool)
    lines = st.lists(
        st.one_of(
            st.builds(lambda word: f"# {word}", words),
            st.just(""),
            st.integers(0, 5).map(lambda number: f"k{number}:   '{number}'   # odd"),
            st.integers(0, 5).map(lambda number: f"l{number}:\n  - {number}\n  -   x"),
            st.integers(0, 5).map(lambda number: f"m{number}:\n    a: [1,{number}]"),
        ),
        max_size=8,
        unique=True,
    )

    @given(lines)
    def test_every_line_of_another_stays_and_taking_ours_out_leaves_theirs(self, lines):
        text = "\n".join(lines) + "\n"
        own = {("ours",): "v", ("list", OURS, "k"): "v"}
        changed = change("yaml", text, own)
        rest = iter(changed.splitlines())
        assert all(line in rest for line in text.splitlines()), changed
        gone = change("yaml", changed, {("ours",): ABSENT, ("list",): ABSENT})
        assert gone.splitlines() == text.splitlines() or read("yaml", gone) == read("yaml", text)


class TestToml:
    def test_a_key_goes_above_the_tables_and_a_table_below(self):
        changed = change("toml", TOML, {("provider",): "o", ("providers", "o", "url"): "u"})
        expected = TOML.replace("# mine\n", '# mine\nprovider = "o"\n')
        assert changed.startswith(expected)
        assert changed.endswith('\n[providers.o]\nurl = "u"\n')

    def test_a_table_joins_its_kind(self):
        text = TOML + "\n[providers.z]\nurl = 'z' # theirs\n"
        changed = change("toml", text, {("providers", "o", "url"): "u"})
        assert changed.startswith(text)
        assert read("toml", changed)["providers"] == {"z": {"url": "z"}, "o": {"url": "u"}}

    def test_what_was_put_can_be_taken_out(self):
        changed = change("toml", TOML, {("provider",): "o", ("providers", "o", "url"): "u"})
        gone = change("toml", changed, {("provider",): ABSENT, ("providers",): ABSENT})
        assert gone.strip() == TOML.strip()

    @pytest.mark.parametrize("text", ["a = ", "a = 1\na = 2", "[a", "a.b = 1\na = 2"])
    def test_what_can_not_be_read_is_refused(self, text):
        with pytest.raises(SettingsFault, match="no TOML"):
            read("toml", text)

    def test_a_value_in_the_way_is_not_replaced(self):
        with pytest.raises(SettingsFault):
            change("toml", "providers = 3\n", {("providers", "o", "url"): "u"})


class TestDotenv:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("", "A=x\n"),
            ("B=1", "B=1\nA=x\n"),
            ("# A=0\nA=y\nB=1\n", "# A=0\nA=x\nB=1\n"),
            ("export A='y'\n", "A=x\n"),
            ("A=1\nA=2\n", "A=1\nA=x\n"),
            ("AA=1\n", "AA=1\nA=x\n"),
        ],
    )
    def test_a_variable(self, before, after):
        assert change("dotenv", before, {("A",): "x"}) == after

    def test_a_variable_is_taken_out_wherever_it_stands(self):
        assert change("dotenv", "A=1\n# A\nB=2\nexport A=3\n", {("A",): ABSENT}) == "# A\nB=2\n"

    def test_a_line_that_is_none_is_told_by_its_number(self):
        with pytest.raises(SettingsFault, match="line 2"):
            read("dotenv", "A=1\nnonsense\n")

    def test_a_value_of_several_lines_is_not_taken_for_a_variable(self):
        text = 'B="one\nA=two\n"\n'
        with pytest.raises(SettingsFault, match="without touching the rest"):
            change("dotenv", text, {("A",): "x"})


@pytest.mark.parametrize("form", ["json", "yaml", "toml", "dotenv"])
def test_an_empty_file_is_an_empty_object(form):
    assert read(form, "") == {}


def test_what_stands_at_a_path():
    document = {"a": {"b": [1]}, "l": [{"name": "ours", "k": 1}, "odd"]}
    assert get(document, ("a", "b")) == [1]
    assert get(document, ("l", OURS, "k")) == 1
    for path in [("x",), ("a", "b", "c"), ("l", Entry("name", "x")), ("a", OURS), ("l", "k")]:
        assert get(document, path) is ABSENT
