"""What a JSON document from outside may hold: nothing that a store or a reader could not tell again."""

import json

import orjson
import pytest

from registry.domain.plain import MAXIMUM_DEPTH, check_plain, read_json, tellable
from registry.domain.text import clean_document, clean_line
from registry.errors import Invalid


@pytest.mark.parametrize(
    ("value", "field", "told"),
    [
        ({"tags": {"a": "\ud800"}}, "body.tags.a", "surrogate"),
        ({"tags": {"\udc00": "a"}}, "body.tags", "surrogate"),
        ({"points": [1, {"at": 2**64}]}, "body.points[1].at", "64 bits"),
        ([-(2**63) - 1], "body[0]", "64 bits"),
        ({"a": float("inf")}, "body.a", "finite"),
        ("\udfff", "body", "surrogate"),
    ],
)
def test_what_cannot_be_told_again_is_refused_by_its_path(value, field, told):
    with pytest.raises(Invalid, match=told) as caught:
        check_plain(value, field="body")
    assert caught.value.field == field


def nested(levels):
    return "[" * levels + "]" * levels


def test_a_document_is_as_deep_as_may_be_and_no_deeper():
    assert read_json(nested(MAXIMUM_DEPTH)) is not None
    for levels in (MAXIMUM_DEPTH + 1, 500, 100_000):
        with pytest.raises(Invalid, match="levels deep") as caught:
            read_json(nested(levels), field="metadata")
        assert caught.value.field == "metadata"


@pytest.mark.parametrize("text", ["{", "NaN", "[Infinity]", b"\xff", "1 2", ""])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(Invalid, match="valid JSON"):
        read_json(text)


def test_what_is_let_through_can_be_written_as_it_was_read():
    value = {"a": [2**64 - 1, -(2**63), 1e308, None, True, "\U0001f600é"], "": {"b": {}}}
    assert orjson.loads(orjson.dumps(read_json(json.dumps(value)))) == value


def test_a_float_that_was_written_without_an_exponent_is_a_float_and_no_whole_number():
    """JavaScript and Go write 1e20 in this way."""
    found = read_json("[100000000000000000000, -123456789012345680000]")
    assert found == [1e20, -1.2345678901234568e20] and {type(item) for item in found} == {float}
    with pytest.raises(Invalid, match="64 bits"):
        read_json(str(2**70))
    with pytest.raises(Invalid, match="64 bits"):
        read_json("1" + "0" * 400)


def test_the_six_characters_that_look_like_nul_are_text_and_nul_is_refused():
    assert clean_document({"pattern": "[\\u0000-x]"}, field="params") == {"pattern": "[\\u0000-x]"}
    for text in ("\x00", "\\\x00"):
        with pytest.raises(Invalid, match="NUL"):
            clean_document({"pattern": text}, field="params")


def test_half_a_surrogate_pair_is_no_text():
    with pytest.raises(Invalid, match="ud800"):
        clean_line("a\ud800", field="name", maximum=9)


def test_what_a_hostile_file_says_becomes_something_that_can_be_told():
    said = {
        "a\ud800": ["\0", 2**600, -(2**64), float("nan"), {"b": float("inf")}],
        "fine": [1, 0.5, "é", None, True],
    }
    told = tellable(said)
    check_plain(told)
    orjson.dumps(told)
    assert told["a\ufffd"][0] == "\ufffd" and told["a\ufffd"][2:] == [-(2.0**64), None, {"b": None}]
    assert told["fine"] == said["fine"]
