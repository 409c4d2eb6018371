import pytest

from registry.domain.filters import All, Any_, Comparison, Not, parse
from registry.errors import Invalid


def test_and_binds_more_tightly_than_or_and_not_most_of_all():
    number = [Comparison("number", None, "=", n) for n in (1, 2, 3)]
    assert parse("number = 1 or number = 2 and not number = 3") == Any_(
        (number[0], All((number[1], Not(number[2]))))
    )
    assert parse("(number = 1 OR number = 2) AND number = 3") == All(
        (Any_((number[0], number[1])), number[2])
    )


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("metrics.val/auc >= -1e-3", Comparison("metrics", "val/auc", ">=", -0.001)),
        ('tags."a b.c" = "x"', Comparison("tags", "a b.c", "=", "x")),
        ("tags.in != 'it\\'s'", Comparison("tags", "in", "!=", "it's")),
        ("alias exists", Comparison("alias", None, "exists", None)),
        ('params.depth in (1, 2.5, true, "a")', Comparison("params", "depth", "in", (1, 2.5, True, "a"))),
        ('name !~ "x"', Comparison("name", None, "!~", "x")),
        ("inner = 1", Comparison("inner", None, "=", 1)),
    ],
)
def test_a_comparison_has_a_field_perhaps_a_key_an_operator_and_a_value(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name =", "at its end"),
        ('name = "x" y', "at 'y' (character 12)"),
        ('name = "x', "at '\"x'"),
        ("name > > 1", "at '> 1'"),
        ("number = 1e999", "too large"),
        ("(" * 40 + "a = 1" + ")" * 40, "nested"),
        ("name = 'a\x00b'", "NUL"),
        ("a = 1 " + "and a = 1 " * 300, "at most 2000"),
        ("; drop table", "at '; drop table'"),
    ],
)
def test_what_cannot_be_read_is_shown_with_its_place(text, told):
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert told in str(caught.value) and caught.value.field == "filter"


def test_the_deepest_filter_that_is_read_does_not_exhaust_the_stack():
    assert parse("(" * 30 + "a = 1" + ")" * 30) == Comparison("a", None, "=", 1)
    assert parse("not " * 29 + "a = 1")
