from __future__ import annotations

from pathlib import Path

from rollouts.domain.phases import ACTIVE, MOVES, TERMINAL, Phase, may_move, mermaid


def test_every_phase_has_its_row_in_the_table():
    assert set(MOVES) == set(Phase)


def test_a_rollout_that_has_not_ended_can_always_be_rolled_back():
    for phase in ACTIVE - {Phase.ROLLING_BACK}:
        assert may_move(phase, Phase.ROLLING_BACK), phase


def test_nothing_follows_a_terminal_phase():
    ends = {
        Phase.SUCCEEDED,
        Phase.CONCLUDED,
        Phase.ROLLED_BACK,
        Phase.CANCELLED,
        Phase.SUPERSEDED,
        Phase.FAILED,
    }
    assert ends == TERMINAL
    assert not any(may_move(phase, other) for phase in TERMINAL for other in Phase if other != phase)


def test_every_phase_can_be_reached_from_the_queue():
    reached, frontier = {Phase.QUEUED}, [Phase.QUEUED]
    while frontier:
        new = MOVES[frontier.pop()] - reached
        reached |= new
        frontier += new
    assert reached == set(Phase)


def test_the_diagram_has_an_arrow_for_each_move():
    diagram = mermaid()
    assert all(f"{a} --> {b}" in diagram for a, moves in MOVES.items() for b in moves)


def test_the_docs_show_the_diagram_of_the_table():
    page = Path(__file__).parents[2] / "docs" / "rollouts.md"
    assert mermaid() in page.read_text()
