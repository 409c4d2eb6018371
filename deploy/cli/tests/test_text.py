"""What the command line prints, character by character."""

from __future__ import annotations

import io

import pytest

from deploy.cli.commands.endpoints import policy_text
from deploy.cli.exits import Exit
from deploy.cli.exits import table as exit_table
from deploy.cli.outcome import last_words, outcome
from deploy.cli.progress import Progress
from deploy.cli.rollouts import move_line, share_bar, step_lines
from deploy.cli.screen import Screen, cut
from deploy.cli.text import clean, line, pairs, short, size, span, stamp, table
from deploy.cli.versions import comparison

ROLLOUT = {
    "id": 7, "endpoint": "churn", "phase": "progressing", "active": True, "step": 1, "reason": "seen",
    "steps": [{"kind": k, "description": k} for k in ("provision", "set_weight", "promote")],
}  # fmt: skip


def test_a_terminal_is_never_steered_by_what_others_wrote():
    assert clean("a\x1b[2Jb\x07\r") == "a\ufffd[2Jb\ufffd\ufffd"
    assert line("two\nlines\x1b]0;title\x07") == "two lines\ufffd]0;title\ufffd"
    move = {
        "at": "2026-03-01T12:00:00Z",
        "weight": 5,
        "to_phase": "paused",
        "reason": "\x1b[31mx",
        "actor": "eve\x1b",
    }
    assert "\x1b[31mx" not in move_line(move) and "eve\ufffd" in move_line(move)


def test_columns_are_as_wide_as_their_content():
    rows = table(["NAME", "N"], [("a", 1), ("longer", None)])
    assert rows == ["NAME    N", "a       1", "longer  -"]
    assert table(["NAME"], []) == ["NAME"]
    assert pairs({"a": 1.5, "long": [1, 2]}) == ["a     1.5", "long  1, 2"]
    assert line({"a": True, "b": {}}) == "a=yes, b=-"
    assert short("x" * 50, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB"), (1 << 60, "1048576.0 TiB")],
)
def test_sizes_are_read_as_people_read_them(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (90061, "1 d 1 h")],
)
def test_lengths_of_time_have_two_units(seconds, text):
    assert span(seconds) == text


def test_times_are_utc_to_the_second():
    assert stamp("2026-03-01T13:00:00.123456+01:00") == "2026-03-01T12:00:00Z"
    assert stamp(None) == "-"


@pytest.mark.parametrize(
    ("phase", "active", "votes", "found"),
    [
        ("progressing", True, [], None),
        ("awaiting_approval", True, [], None),
        ("rolling_back", True, [{"approve": False}], None),
        ("paused", True, [], Exit.NEEDS_PERSON),
        ("succeeded", False, [], Exit.DONE),
        ("concluded", False, [], Exit.DONE),
        ("rolled_back", False, [{"approve": True}], Exit.ROLLED_BACK),
        ("rolled_back", False, [{"approve": True}, {"approve": False}], Exit.CANCELLED),
        ("cancelled", False, [], Exit.CANCELLED),
        ("superseded", False, [], Exit.SUPERSEDED),
        ("failed", False, [], Exit.NEEDS_PERSON),
        ("a phase of a newer server", False, [], Exit.NEEDS_PERSON),
    ],
)
def test_each_phase_has_its_exit_status(phase, active, votes, found):
    rollout = {"phase": phase, "active": active}
    assert outcome(rollout, iter(votes), through_pauses=False) == found


def test_the_last_words_say_why():
    ended = ROLLOUT | {"phase": "rolled_back", "active": False, "reason": "v1 serves all traffic"}
    assert last_words(ended, Exit.ROLLED_BACK, "errors: 5 %") == (
        "rollout 7 of churn rolled back because errors: 5 %; v1 serves all traffic"
    )
    assert last_words(ended | {"phase": "succeeded"}, Exit.DONE).endswith("succeeded: v1 serves all traffic")


def test_steps_show_what_is_done_and_what_is_to_come():
    assert [text[2:3] if "\x1b" not in text else ">" for text in step_lines(ROLLOUT)] == ["x", ">", "."]
    assert {text[2] for text in step_lines(ROLLOUT | {"phase": "succeeded", "active": False})} == {"x"}
    assert share_bar({"intended": 50, "observed": 5}).endswith("] 50 %, 5 % seen")
    assert share_bar({"intended": 0, "observed": None}).endswith("not seen yet")


def test_every_status_is_in_the_help():
    rows = exit_table().splitlines()
    assert [int(row.split()[0]) for row in rows] == [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 130]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ticking(*seconds: float):
    moments = iter(seconds)
    last = [0.0]

    def clock() -> float:
        last[0] = next(moments, last[0])
        return last[0]

    return clock


def test_a_log_gets_a_line_now_and_then_and_no_redrawing():
    stream = io.StringIO()
    with Progress("push m", 1000, stream, ticking(0, 5, 5, 11, 11, 11, 20)) as progress:
        for _ in range(4):
            progress.add(250)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "push m: 1000 B" and lines[-1].startswith("push m: 1000 B in ")
    assert 3 <= len(lines) <= 4 and "\r" not in stream.getvalue()


def test_a_terminal_gets_one_line_that_is_redrawn(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    stream = Terminal()
    with Progress("push m", 1000, stream, ticking(0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4)) as progress:
        for _ in range(4):
            progress.add(250)
    assert stream.getvalue().count("\n") == 1 and "\r\x1b[Kpush m [#" in stream.getvalue()


def test_a_ci_job_that_looks_like_a_terminal_is_a_log(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", "true")
    stream = Terminal()
    with Progress("push m", 10, stream):
        pass
    assert "\x1b" not in stream.getvalue()


def test_the_block_is_drawn_over_itself_and_no_wider_than_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "5")
    stream = io.StringIO()
    screen = Screen(stream)
    screen.draw(["one", "two " * 10])
    screen.draw(["three"], above=["stays"])
    assert stream.getvalue() == "one\ntwo two two two tw…\x1b[0m\n\x1b[2F\x1b[Jstays\nthree\n"
    screen.draw([str(n) for n in range(50)])
    assert screen.height == 4


def test_styles_are_not_counted_and_are_closed():
    assert cut("\x1b[31mred\x1b[0m", 3) == "\x1b[31mred\x1b[0m"
    assert cut("\x1b[31mreddish", 4) == "\x1b[31mred…\x1b[0m"


def test_a_comparison_shows_what_differs():
    first = {
        "metrics": {"auc": 0.9},
        "hyperparameters": {"depth": 6},
        "git_sha": "a",
        "dependencies": ["x==1", "y==1"],
    }
    second = {
        "metrics": {},
        "hyperparameters": {"depth": 6},
        "git_sha": "b",
        "dependencies": ["x==2", "y==1"],
    }
    assert comparison([first, second], everything=False) == [
        ("metrics.auc", [0.9, None]), ("git_sha", ["a", "b"]), ("dependencies", [["x==1"], ["x==2"]]),
    ]  # fmt: skip
    assert ("hyperparameters.depth", [6, 6]) in comparison([first, second], everything=True)
    assert comparison([first, first], everything=False) == []


def test_a_policy_is_told_in_words_with_the_defaults_of_what_it_leaves_out():
    assert policy_text({}) == "four eyes"
    asked = {"before": "promotion", "count": 2}
    hooks = [{"name": "qa", "on": ["start", "end"]}]
    policy = {
        "approvals": [asked],
        "after": "staging",
        "parity": True,
        "without": ["warning"],
        "hooks": hooks,
    }
    assert policy_text(policy) == (
        "2 approvals by release manager before promotion within 1 d; four eyes; first in staging; parity; "
        "without warning; hook qa on start, end"
    )
    alone = {"approvals": [{"before": "start", "group": "admin", "seconds": 60}], "four_eyes": False}
    assert policy_text(alone) == "1 approval by admin before start within 1 min"
