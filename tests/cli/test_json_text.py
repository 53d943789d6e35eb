"""JSON changed in place: what is beside the change stays to the byte, whatever it looks like."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.cli.json_text import JsonFault, parse, put, remove

CASES = [
    ("", ["a"], 1, '{\n  "a": 1\n}\n'),
    ("{}", ["a"], 1, '{\n  "a": 1\n}'),
    ("{}\n", ["a", "b"], "x", '{\n  "a": {\n    "b": "x"\n  }\n}\n'),
    ('{"a": 1}', ["b"], 2, '{"a": 1, "b": 2}'),
    ('{"a": 1 }', ["a"], 2, '{"a": 2 }'),
    ('{\n  "a": 1\n}\n', ["b"], 2, '{\n  "a": 1,\n  "b": 2\n}\n'),
    ('{\n\t"a": {}\n}', ["a", "b"], 2, '{\n\t"a": {\n\t\t"b": 2\n\t}\n}'),
    ('{\n  "a": 1 // one\n}', ["b"], 2, '{\n  "a": 1, // one\n  "b": 2\n}'),
    ('{\n  "a": 1, // one\n}', ["b"], 2, '{\n  "a": 1, // one\n  "b": 2\n}'),
    ('{ "a": 1 // one\n}', ["b"], 2, '{ "a": 1, // one\n  "b": 2\n}'),
    ("{\n  // nothing yet\n}", ["b"], 2, '{\n  // nothing yet\n  "b": 2\n}'),
    ('{\n  "a": [1,2], /* kept */ "c":   3\n}', ["c"], 4, '{\n  "a": [1,2], /* kept */ "c":   4\n}'),
    ('{"a": {"b": 1}, "c": 2}', ["a", "d"], True, '{"a": {"b": 1, "d": true}, "c": 2}'),
    ('{\r\n  "a": 1\r\n}', ["b"], 2, '{\r\n  "a": 1,\r\n  "b": 2\r\n}'),
    ('{"a": "ä"}', ["b"], "日", '{"a": "ä", "b": "日"}'),
]


@pytest.mark.parametrize(("before", "path", "value", "after"), CASES)
def test_a_value_is_put_where_a_person_would_write_it(before, path, value, after):
    assert put(before, path, value) == after


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [
        ('{"a": 1}', ["a"], "{}"),
        ('{"a": 1}', ["b"], '{"a": 1}'),
        ('{"a": 1}', ["a", "b"], '{"a": 1}'),
        ('{"a": 1, "b": 2}', ["a"], '{"b": 2}'),
        ('{"a": 1, "b": 2}', ["b"], '{"a": 1}'),
        ('{\n  "a": 1,\n  "b": 2\n}\n', ["b"], '{\n  "a": 1\n}\n'),
        ('{\n  "a": 1,\n  "b": 2\n}\n', ["a"], '{\n  "b": 2\n}\n'),
        ('{\n  "a": 1, // one\n  "b": 2,\n}\n', ["b"], '{\n  "a": 1, // one\n}\n'),
        ('{\n  // ours\n  "a": 1\n}\n', ["a"], "{\n  // ours\n}\n"),
        ('{\n  "a": {\n    "b": 1\n  }\n}', ["a", "b"], '{\n  "a": {}\n}'),
    ],
)
def test_a_value_is_taken_out_with_its_line_and_its_comma(before, path, after):
    assert remove(before, path) == after


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "no value of JSON"),
        ("{", "ends too early"),
        ('{"a"', "ends too early"),
        ('{"a" 1}', "':' is missing"),
        ('{"a": }', "a value is missing"),
        ('{"a": 1 "b": 2}', "',' or '}' is missing"),
        ("{a: 1}", "a name in quotes"),
        ("[1 2]", "',' is missing"),
        ('{"a": 1} {}', "more than one"),
        ('{"a": 01}', "no value of JSON"),
        ('{"a": NaN}', "no value of JSON"),
        ('{"a": "\n"}', "unexpected character"),
        ("{\"a\": 'x'}", "unexpected character"),
        ('{"a": 1, "a": 2}', "twice"),
        ("[" * 100 + "]" * 100, "deeper than"),
        ('{"a": 1,, "b": 2}', "a name in quotes"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(text, message):
    for act in (parse, lambda text: put(text, ["z"], 1), lambda text: remove(text, ["z"])):
        with pytest.raises(JsonFault, match=message) as caught:
            act(text)
        assert "line " in str(caught.value)


def test_the_place_of_a_fault_is_exact():
    with pytest.raises(JsonFault, match=r"\(line 3, column 8\)"):
        parse('{\n  "a": 1,\n  "b": ?\n}')


@pytest.mark.parametrize("text", ['{"a": 1}', '{"a": [1]}', '{"a": "x"}', '{"a": null}'])
def test_what_is_no_object_is_never_replaced_by_one(text):
    with pytest.raises(JsonFault, match="a is no object"):
        put(text, ["a", "b"], 1)


def test_a_document_that_is_a_list_has_no_names():
    with pytest.raises(JsonFault, match="the document is no object"):
        put("[]", ["a"], 1)


names = st.sampled_from(["a", "b", "ä", "", "// c", "{"])
scalars = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=4))
nested = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2), max_leaves=3
)
documents = st.dictionaries(names, nested, max_size=3)
written = st.one_of(
    documents.map(json.dumps),
    documents.map(lambda value: json.dumps(value, indent=2, ensure_ascii=False)),
    documents.map(lambda value: json.dumps(value, indent="\t").replace("\n", " // c\n") + "\n"),
    documents.map(lambda value: "/* top */" + json.dumps(value, separators=(" ,", ":"))),
)


def _plain_put(document, path, value):
    here = document
    for step in path[:-1]:
        here = here.setdefault(step, {})
    here[path[-1]] = value


@given(written, st.lists(names, min_size=1, max_size=3), scalars | documents)
def test_whatever_is_put_is_read_back_and_all_else_with_it(text, path, value):
    expected = parse(text)
    try:
        changed = put(text, path, value)
    except JsonFault:
        return
    _plain_put(expected, path, value)
    assert parse(changed) == expected
    assert changed.startswith("/* top */") == text.startswith("/* top */")


@given(written, names.filter(bool))
def test_taking_out_what_was_put_leaves_what_was_there(text, name):
    before = parse(text)
    new = f"new {name}"
    changed = put(text, [new], {"x": 1})
    assert changed.count("// c\n") == text.count("// c\n")
    assert parse(remove(changed, [new])) == before
    for known in before:
        expected = {key: value for key, value in before.items() if key != known}
        assert parse(remove(text, [known])) == expected
