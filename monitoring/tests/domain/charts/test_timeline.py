import json
from datetime import UTC, datetime

import numpy as np

from monitoring.domain.charts import Curve, Moment, time_chart
from monitoring.domain.charts.chart import PLOT
from monitoring.domain.charts.scales import Scale
from monitoring.domain.charts.timeline import line_path
from monitoring.domain.series import Series
from monitoring.domain.window import Window

NOW = datetime(2026, 1, 1, 12, 5, tzinfo=UTC)
WINDOW = Window.last(300, NOW)
GRID = WINDOW.grid(60)
NAN = float("nan")


def chart(values=(1, 2, 3, 4, 5), moments=(), **changes):
    curves = [Curve("stable", "version 1", Series(GRID, np.array(values, dtype=float)))]
    return time_chart(
        id="c", title="Requests", unit="per second", window=WINDOW, moments=moments,
        text=lambda v: f"{v:g}/s", **{"curves": curves, **changes},
    )  # fmt: skip


def path(*values):
    times = np.arange(len(values), dtype=float)
    return line_path(Series(times, np.array(values, dtype=float)), Scale(0, 4, 0, 40), Scale(0, 10, 100, 0))


def test_a_line_goes_through_its_points():
    assert path(0, 5, 10) == "M0 100L10 50L20 0"


def test_a_line_breaks_where_nothing_was_measured():
    assert path(0, NAN, 5, 5) == "M0 100M20 50L30 50".replace("M0 100", "M0 100h0")


def test_a_lone_point_is_a_dot():
    assert path(NAN, 5, NAN) == "M10 50h0"


def test_the_chart_spans_the_window_and_starts_at_zero():
    made = chart()
    assert made.y_ticks[0].position == PLOT.bottom
    assert made.y_ticks[0].label == "0"
    assert all(PLOT.left <= tick.position <= PLOT.right for tick in made.x_ticks)
    assert made.lines[0].path.endswith(f"L{PLOT.right:g} {made.hover['series'][0]['y'][-1]:g}")


def test_legend_and_description_tell_the_latest_value_in_words():
    made = chart(values=(1, 2, 3, 4, NAN))
    assert made.legend[0].value == "4/s"
    assert made.description == "Requests, 12:00:00 to 12:05:00 UTC. Latest: version 1 4/s."


def test_hover_data_is_json_without_nan():
    data = json.loads(chart(values=(1, NAN, 3, 4, 5)).hover_json)
    assert data["label"] == ["12:01:00", "12:02:00", "12:03:00", "12:04:00", "12:05:00"]
    assert data["series"][0]["y"][1] is None
    assert data["series"][0]["text"][:2] == ["1/s", "–"]


def test_marks_stand_at_their_moments_and_those_outside_are_left_out():
    end = NOW.timestamp()
    made = chart(moments=[Moment(end - 150, "25 %", "step"), Moment(end - 400, "5 %", "step")])
    (mark,) = made.marks
    assert mark.x == (PLOT.left + PLOT.right) / 2
    assert (mark.label, mark.kind, mark.anchor) == ("25 %", "step", "start")


def test_neighbouring_marks_do_not_write_over_each_other():
    end = NOW.timestamp()
    made = chart(moments=[Moment(end - 100, "rollback", "rollback"), Moment(end - 95, "0 %", "step")])
    assert made.marks[0].text_y != made.marks[1].text_y


def test_the_end_of_a_rollout_keeps_its_text_where_there_is_no_room_for_all():
    end = NOW.timestamp()
    steps = [Moment(end - 1 - second, f"{second} %", "step") for second in range(3, 8)]
    made = chart(
        moments=[*steps, Moment(end - 1, "rollback", "rollback"), Moment(end - 2, "promote", "promote")]
    )
    spans = [
        ((mark.text_x - 6 * len(mark.label), mark.text_x) if mark.anchor == "end" else
         (mark.text_x, mark.text_x + 6 * len(mark.label)), mark.text_y)
        for mark in made.marks if mark.label
    ]  # fmt: skip
    assert {"rollback", "promote"} <= {mark.label for mark in made.marks} and len(made.marks) == 7
    for index, ((left, right), row) in enumerate(spans):
        for (low, high), other in spans[index + 1 :]:
            assert row != other or right <= low or high <= left


def test_a_mark_at_the_right_edge_writes_to_the_left():
    made = chart(moments=[Moment(NOW.timestamp() - 1, "rollback", "rollback")])
    assert made.marks[0].anchor == "end"


def test_without_measurements_the_chart_says_so():
    assert chart(values=[NAN] * 5).empty == "No measurements in this window yet."
    assert chart(curves=[]).empty == "No measurements in this window yet."
    assert chart().empty == ""
