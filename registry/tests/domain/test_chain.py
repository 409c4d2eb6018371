import pytest

from registry.domain.chain import GENESIS, Link, canonical, seal, verify


def chain(count=5):
    links, previous = [], GENESIS
    for sequence in range(1, count + 1):
        content = {"action": f"deed {sequence}", "after": {"value": sequence / 3}}
        digest = seal(sequence, content, previous)
        links.append(Link(sequence, content, previous, digest))
        previous = digest
    return links, (count, previous)


def test_a_whole_chain_verifies():
    links, head = chain()
    verdict = verify(links, head)
    assert verdict.whole and verdict.checked == 5


def test_an_empty_chain_is_whole():
    assert verify([], (0, GENESIS)).whole


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (
            lambda c: c[:2] + [Link(3, {"action": "lie"}, c[2].previous, c[2].digest)] + c[3:],
            "entry 3 was changed",
        ),
        (lambda c: c[:2] + c[3:], "entry 3 is missing"),
        (lambda c: [c[0], c[2], c[1], *c[3:]], "entry 2 is missing"),
        (lambda c: c[:-1], "ends at entry 4, but entry 5"),
        (lambda c: c[1:], "entry 1 is missing"),
        (lambda c: [*c[:3], c[2], *c[3:]], "entry 4 is missing"),
        (
            lambda c: [*c[:1], Link(2, c[2].content, c[2].previous, c[2].digest), *c[2:]],
            "entry 2 does not follow",
        ),
    ],
)
def test_a_changed_removed_moved_or_cut_entry_shows(tamper, told):
    links, head = chain()
    verdict = verify(tamper(links), head)
    assert not verdict.whole and told in verdict.fault


def test_resealing_one_changed_entry_does_not_hide_it():
    links, head = chain()
    content = {"action": "lie"}
    links[2] = Link(3, content, links[2].previous, seal(3, content, links[2].previous))
    assert "entry 4 does not follow" in verify(links, head).fault


def test_canonical_json_does_not_depend_on_key_order():
    assert canonical({"b": 1, "a": [1.5, "é"]}) == '{"a":[1.5,"\\u00e9"],"b":1}'
