"""Tools: namespaces are flattened and found again, free text is taken out of the string that carries it."""

from __future__ import annotations

import json
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from open_llm_auth.errors import InvalidRequest
from open_llm_auth.wire.conversation import OpaqueTool, Tool, ToolChoice
from open_llm_auth.wire.openai_responses.tools import (
    CustomInput,
    ToolNames,
    WireName,
    names_in,
    read_choice,
    read_tools,
    write_choice,
    write_tools,
)

NOTHING = {"type": "object", "properties": {}}
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
#: As Codex declares them.
CODEX = [
    {
        "type": "function",
        "name": "exec_command",
        "description": "Runs.",
        "strict": False,
        "parameters": {"type": "object"},
    },
    {
        "type": "namespace",
        "name": "multi_agent_v1",
        "description": "Agents.",
        "tools": [{"type": "function", "name": "close_agent", "strict": False, "parameters": {"type": "object"}}],
    },
    {"type": "custom", "name": "apply_patch", "description": "Patches.", "format": GRAMMAR},
    {"type": "web_search", "external_web_access": False},
]


def declared(*tools):
    return [(tool, f"tools.{number}") for number, tool in enumerate(tools)]


def envelope(**fields):
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}


def test_codex_tools_are_understood():
    tools, _ = read_tools(declared(*CODEX))
    assert tools == (
        Tool("exec_command", "Runs.", {"type": "object"}, False),
        Tool("multi_agent_v1__close_agent", "", {"type": "object"}, False),
        Tool("apply_patch", "Patches.", custom=True, grammar=GRAMMAR),
        OpaqueTool("openai-responses", "web_search", CODEX[3]),
    )


def test_the_way_back_is_found_from_the_request_alone():
    names = names_in(envelope(tools=CODEX, input="hi"))
    assert names.wire("multi_agent_v1__close_agent") == WireName("close_agent", "multi_agent_v1")
    assert names.wire("apply_patch") == WireName("apply_patch", custom=True)
    assert names.wire("exec_command") == WireName("exec_command")
    assert names.wire("never declared") == WireName("never declared")


def test_tools_within_the_input_are_found_too():
    item = {"type": "additional_tools", "role": "developer", "tools": [CODEX[1]]}
    names = names_in(envelope(input=[{"role": "user", "content": "hi"}, item]))
    assert names.wire("multi_agent_v1__close_agent").namespace == "multi_agent_v1"


@pytest.mark.parametrize(
    "tools", [3, "x", [3], [{"type": "namespace", "name": 3, "tools": "x"}], [{"type": "function"}]]
)
def test_tools_that_make_no_sense_are_no_names(tools):
    assert names_in(envelope(tools=tools)).wire("f") == WireName("f")


@pytest.mark.parametrize(
    ("namespace", "flat"), [("mcp__x__", "mcp__x__go"), ("mcp__x", "mcp__x__go"), ("ext/", "ext__go"), ("", "go")]
)
def test_a_namespace_is_joined_with_two_lines_whatever_it_ends_in(namespace, flat):
    assert ToolNames(()).flat(namespace, "go") == flat


def test_flat_names_stay_apart():
    names = ToolNames([WireName("go", "a"), WireName("go", "a/"), WireName("a__go"), WireName("go", "a")])
    flats = [names.flat("", "a__go"), names.flat("a", "go"), names.flat("a/", "go")]
    assert flats == ["a__go", "a__go_2", "a__go_3"]
    assert [names.wire(flat).namespace for flat in flats] == ["", "a", "a/"]


@given(st.lists(st.tuples(st.sampled_from(["", "a", "a_", "b/"]), st.sampled_from(["x", "a__x", "x_2"]))))
def test_every_tool_has_one_flat_name_that_leads_back_to_it(pairs):
    names = ToolNames([WireName(name, namespace) for namespace, name in pairs])
    flats = {names.flat(namespace, name) for namespace, name in pairs}
    assert len(flats) == len(set(pairs))
    assert all(names.wire(names.flat(space, name)) == WireName(name, space) for space, name in pairs)


@pytest.mark.parametrize(
    ("given_choice", "choice"),
    [
        (None, None),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "name": "f"}, ToolChoice("tool", "f")),
        ({"type": "function", "name": "go", "namespace": "n"}, ToolChoice("tool", "n__go")),
        ({"type": "custom", "name": "c"}, ToolChoice("tool", "c")),
        (
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "mcp"}],
            },
            ToolChoice("allowed", names=("f",), must_call=True),
        ),
        ({"type": "web_search"}, None),
    ],
)
def test_a_choice_is_understood(given_choice, choice):
    assert read_choice(given_choice, ToolNames([WireName("go", "n")])) == choice


@pytest.mark.parametrize("choice", ["maybe", 3, {"name": "f"}, {"type": "function"}, {"type": "allowed_tools"}])
def test_a_choice_that_is_none_is_refused(choice):
    with pytest.raises(InvalidRequest) as caught:
        read_choice(choice, ToolNames(()))
    assert caught.value.param.startswith("tool_choice")


def test_tools_and_choices_are_written():
    nested = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: x"}}
    tools = (Tool("f", "d", {"type": "object"}, True), Tool("g"), Tool("c", "", custom=True, grammar=nested))
    assert write_tools((*tools, OpaqueTool("ollama", "x", {}), OpaqueTool("openai-responses", "y", {"type": "y"}))) == [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
        {"type": "function", "name": "g", "description": "", "parameters": NOTHING, "strict": False},
        {"type": "custom", "name": "c", "description": "", "format": GRAMMAR},
        {"type": "y"},
    ]
    assert write_choice(ToolChoice("tool", "c"), tools) == {"type": "custom", "name": "c"}
    assert write_choice(ToolChoice("allowed", names=("f", "c")), tools) == {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}],
    }


# ---------------------------------------------------------------------------------------------- free text


def unwrapped(pieces):
    taking = CustomInput()
    told = [taking.feed(piece) for piece in pieces]
    rest, whole = taking.end()
    return [*told, rest], whole


@given(st.text(), st.booleans(), st.lists(st.integers(1, 7)))
def test_the_text_of_a_custom_call_arrives_whole_however_it_was_cut(text, ascii_only, sizes):
    arguments = json.dumps({"input": text}, ensure_ascii=ascii_only)
    cuts = [0, *sorted({min(sum(sizes[: n + 1]), len(arguments)) for n in range(len(sizes))}), len(arguments)]
    told, whole = unwrapped([arguments[a:b] for a, b in pairwise(cuts)])
    assert "".join(told) == whole == text


@given(st.text(min_size=1))
def test_the_text_of_a_custom_call_arrives_letter_by_letter(text):
    told, whole = unwrapped(json.dumps({"input": text}))
    assert "".join(told) == whole == text


def test_text_is_told_before_its_end_is_known():
    taking = CustomInput()
    assert [taking.feed(piece) for piece in ('{"input"', ': "*** Be', "gin\\", "nx\\u00", 'e9"', "}")] == [
        "",
        "*** Be",
        "gin",
        "\nx",
        "é",
        "",
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", ""),
        ("{}", ""),
        ('{"patch": "x"}', "x"),
        ('"x"', "x"),
        ("*** bare", "*** bare"),
        ('{"a": "x", "b": "y"}', '{"a": "x", "b": "y"}'),
        ('{"input": 3}', '{"input": 3}'),
        ("[1]", "[1]"),
        ('{"input": "cut of', "cut of"),
        ('{"input": "line\nbreak"}', "line\nbreak"),
        ('{"input": "half \\ud83d"}', "half ?"),
        ('{"input": "\\q"}', "\\q"),
    ],
)
def test_models_that_keep_to_no_form_are_understood(arguments, text):
    told, whole = unwrapped([arguments])
    assert "".join(told) == whole == text
