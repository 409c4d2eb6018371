import pytest

from monitoring.domain.judge import DEFAULT_GATES, ErrorRateGate, parse_gates
from registry.errors import Invalid


def test_the_default_gates_are_valid_and_cover_what_can_go_wrong():
    gates = parse_gates(DEFAULT_GATES)
    assert [gate.name for gate in gates] == ["errors", "rejected", "latency_p95", "output"]


def test_a_parsed_gate_written_out_parses_to_itself():
    gates = parse_gates(DEFAULT_GATES)
    assert parse_gates([gate.to_dict() for gate in gates]) == gates


def test_a_gate_with_only_its_kind_has_usable_defaults():
    (gate,) = parse_gates([{"kind": "error_rate"}])
    assert isinstance(gate, ErrorRateGate)
    assert gate.max == 0.02
    assert "rejected" not in gate.statuses


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ("errors", "gates"),
        (None, "gates"),
        ([], "gates"),
        ([{"kind": "error_rate"}] * 51, "gates"),
        ([7], "gates[0]"),
        ([{}], "gates[0].kind"),
        ([{"kind": ["error_rate"]}], "gates[0].kind"),
        ([{"kind": "error_rate"}, {"kind": "vibes"}], "gates[1].kind"),
        ([{"kind": "error_rate", "maximum": 0.1}], "gates[0].maximum"),
        ([{"kind": "error_rate", "max": "2 %"}], "gates[0].max"),
        ([{"kind": "error_rate", "max": True}], "gates[0].max"),
        ([{"kind": "error_rate", "max": 2}], "gates[0].max"),
        ([{"kind": "error_rate", "max": float("nan")}], "gates[0].max"),
        ([{"kind": "error_rate", "min_samples": 0}], "gates[0].min_samples"),
        ([{"kind": "error_rate", "min_samples": 2.5}], "gates[0].min_samples"),
        ([{"kind": "error_rate", "statuses": ["broken"]}], "gates[0].statuses"),
        ([{"kind": "error_rate", "statuses": []}], "gates[0].statuses"),
        ([{"kind": "error_rate", "name": ""}], "gates[0].name"),
        ([{"kind": "error_rate"}, {"kind": "error_rate"}], "gates[1].name"),
        ([{"kind": "latency", "quantile": 1}], "gates[0].quantile"),
        ([{"kind": "latency", "max_ratio": 0.9}], "gates[0].max_ratio"),
        ([{"kind": "latency", "max_ratio": None}], "gates[0].max_ratio"),
        ([{"kind": "latency", "max_ms": 0}], "gates[0].max_ms"),
        ([{"kind": "distribution", "statistic": "feeling"}], "gates[0].statistic"),
        ([{"kind": "distribution", "metric": "up"}], "gates[0].metric"),
        ([{"kind": "distribution", "against": "yesterday"}], "gates[0].against"),
        ([{"kind": "distribution", "min_samples": 5}], "gates[0].min_samples"),
    ],
)
def test_a_bad_gate_is_refused_with_the_path_of_the_field(document, field):
    with pytest.raises(Invalid) as caught:
        parse_gates(document)
    assert caught.value.field == field


def test_the_path_can_be_that_of_an_outer_document():
    with pytest.raises(Invalid) as caught:
        parse_gates([{"kind": "x"}], path="parameters.gates")
    assert caught.value.field == "parameters.gates[0].kind"


def test_an_unknown_field_is_answered_with_the_known_ones():
    with pytest.raises(Invalid, match="min_effect"):
        parse_gates([{"kind": "error_rate", "effect": 1}])
