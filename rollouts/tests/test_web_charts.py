from __future__ import annotations

from types import SimpleNamespace

from rollouts.tests.cast import later
from rollouts.web.charts import lines_of, outcome_marks, step_marks


def moves(*rows: tuple[str, str, int]) -> list[SimpleNamespace]:
    """Transitions a second apart: from, to, weight."""
    return [
        SimpleNamespace(at=later(second), from_phase=before, to_phase=after, weight=weight)
        for second, (before, after, weight) in enumerate(rows)
    ]


def test_marks_are_the_new_weights_and_the_rollback():
    marks = step_marks(
        moves(
            ("", "pending", 0),
            ("provisioning", "progressing", 5),
            ("progressing", "progressing", 5),
            ("progressing", "progressing", 10),
            ("progressing", "rolling_back", 0),
            ("rolling_back", "rolled_back", 0),
        )
    )
    assert [(mark.label, mark.kind) for mark in marks] == [
        ("5 %", "step"),
        ("10 %", "step"),
        ("rollback", "rollback"),
    ]
    assert marks[-1].at == later(4)


def test_the_end_of_a_plan_without_promotion_is_no_rollback():
    marks = step_marks(
        moves(
            ("provisioning", "progressing", 0),
            ("progressing", "rolling_back", 0),
            ("rolling_back", "concluded", 0),
        )
    )
    assert [(mark.label, mark.kind) for mark in marks] == [("end", "step")]


def test_the_promotion_is_marked_when_all_traffic_moves():
    marks = step_marks(
        moves(("a", "progressing", 50), ("progressing", "promoting", 100), ("promoting", "succeeded", 100))
    )
    assert [(mark.label, mark.kind) for mark in marks] == [("50 %", "step"), ("100 %", "promote")]


def test_an_endpoints_charts_mark_only_how_rollouts_ended():
    marks = outcome_marks(
        moves(
            ("progressing", "progressing", 50),
            ("promoting", "succeeded", 100),
            ("progressing", "rolling_back", 0),
            ("rolling_back", "rolled_back", 0),
        )
    )
    assert [(mark.label, mark.at) for mark in marks] == [("promote", later(1)), ("rollback", later(2))]


def test_each_version_is_drawn_once_and_the_candidate_last():
    lines = lines_of("2", "3", "1")
    assert [(line.ref, line.role) for line in lines] == [
        ("1", "baseline"),
        ("2", "stable"),
        ("3", "candidate"),
    ]
    assert lines[0].label == "version 1 (previous)"
    assert [line.ref for line in lines_of("2", "1", "1")] == ["2", "1"]
    assert lines_of(None, None, None) == []
