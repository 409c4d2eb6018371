from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitoring.adapters.memory import MemorySource
from monitoring.analysis import Subject, Window, judge
from monitoring.domain.histogram import Histogram
from monitoring.domain.judge import DEFAULT_GATES, Judgement, Verdict, parse_gates
from monitoring.errors import MetricsUnavailable

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
AT = NOW.timestamp()
SECONDS = [0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1]
OUTPUTS = [80.0, 110.0, 140.0, 170.0, 200.0]
PROFILE = {
    "outputs": [
        {
            "name": "y",
            "kind": "numeric",
            "edges": OUTPUTS,
            "counts": [10, 20, 30, 30, 20, 10],
            "min": 1,
            "max": 300,
        }
    ]
}
GATES = parse_gates(DEFAULT_GATES)


class Server:
    """One version's metrics at the start and at the end of the window."""

    def __init__(self, source: MemorySource, version: str, seed: int = 0) -> None:
        self.source, self.rng = source, np.random.default_rng(seed)
        self.labels = {"endpoint": "prod", "model": "m", "model_version": version}

    def serve(self, n: int, *, bad: int = 0, rejected: int = 0, slower: float = 1.0, shift: float = 0.0):
        for status, count in (("ok", n - bad - rejected), ("error", bad), ("rejected", rejected)):
            self._count("model_predictions_total", {**self.labels, "status": status}, count)
        seconds = slower * self.rng.lognormal(np.log(0.005), 0.4, n)
        self._histogram("model_prediction_seconds", self.labels, SECONDS, seconds)
        outputs = self.rng.normal(140 + shift, 45, n)
        self._histogram("model_output_value", {**self.labels, "output": "y"}, OUTPUTS, outputs)

    def _count(self, metric, labels, count):
        self.source.add(metric, labels, AT - 61, 100)
        self.source.add(metric, labels, AT - 1, 100 + count)

    def _histogram(self, metric, labels, edges, values):
        counts = np.histogram(values, [-np.inf, *edges, np.inf])[0]
        self.source.add_histogram(metric, labels, AT - 61, Histogram.of(edges, np.zeros(len(edges) + 1)))
        self.source.add_histogram(metric, labels, AT - 1, Histogram.of(edges, counts))


@pytest.fixture
def source():
    return MemorySource()


def subject(**changes) -> Subject:
    return Subject(
        "prod",
        **{"stable": "1", "candidate": "3", "window": Window.last(60, NOW), "profile": PROFILE, **changes},
    )


def verdicts(judgement: Judgement) -> dict[str, Verdict]:
    return {gate.name: gate.verdict for gate in judgement.gates}


def test_a_healthy_candidate_passes_every_gate(source):
    Server(source, "1", 1).serve(3000)
    Server(source, "3", 2).serve(200)
    found = judge(GATES, subject(), source, NOW)
    assert found.verdict is Verdict.PASS
    assert set(verdicts(found).values()) == {Verdict.PASS}
    assert found.reason.startswith("All 4 gates hold: error rate 0.0 % vs 0.0 % stable over 200 requests")


@pytest.mark.parametrize(
    ("trouble", "gate"),
    [
        ({"bad": 40}, "errors"),
        ({"rejected": 60}, "rejected"),
        ({"slower": 4.0}, "latency_p95"),
        ({"shift": 120.0}, "output"),
    ],
)
def test_each_trouble_fails_the_gate_that_is_for_it(source, trouble, gate):
    Server(source, "1", 1).serve(3000)
    Server(source, "3", 2).serve(200, **trouble)
    found = judge(GATES, subject(), source, NOW)
    assert found.verdict is Verdict.FAIL
    assert [name for name, verdict in verdicts(found).items() if verdict is Verdict.FAIL] == [gate]
    assert found.reason.startswith(f"{gate}: ")


def test_without_traffic_there_is_no_data_and_nobody_is_blamed(source):
    Server(source, "1").serve(3000)
    found = judge(GATES, subject(), source, NOW)
    assert found.verdict is Verdict.NO_DATA
    assert set(verdicts(found).values()) == {Verdict.NO_DATA}


def test_a_provider_that_does_not_answer_is_an_error(source):
    source.outage = "connection refused"
    found = judge(GATES, subject(), source, NOW)
    assert found.verdict is Verdict.ERROR
    assert "connection refused" in found.reason


def test_an_outage_is_asked_about_once_per_question(source):
    asked = []

    class Down(MemorySource):
        def increase(self, metric, **kwargs):
            asked.append(metric)
            raise MetricsUnavailable("gone")

    judge(GATES[:2], subject(), Down(), NOW)
    assert asked == ["model_predictions_total"]


def test_a_bug_in_a_gate_is_an_error_of_that_gate_alone(source, monkeypatch):
    Server(source, "1").serve(3000)
    Server(source, "3").serve(200)
    monkeypatch.setattr("monitoring.domain.judge.latency.judge", lambda *_: 1 / 0)
    found = judge(GATES, subject(), source, NOW)
    assert verdicts(found)["latency_p95"] is Verdict.ERROR
    assert verdicts(found)["errors"] is Verdict.PASS
    assert found.verdict is Verdict.ERROR
    assert "ZeroDivisionError" in found.reason


def test_without_gates_nothing_passes(source):
    assert judge((), subject(), source, NOW).verdict is Verdict.ERROR


def test_a_first_release_is_judged_by_its_ceilings(source):
    Server(source, "3").serve(300)
    gates = parse_gates([{"kind": "error_rate"}, {"kind": "latency", "max_ratio": None, "max_ms": 50}])
    assert judge(gates, subject(stable=None), source, NOW).verdict is Verdict.PASS


def test_comparing_with_a_stable_version_that_does_not_exist_is_an_error(source):
    Server(source, "3").serve(300)
    gates = parse_gates([{"kind": "distribution"}])
    found = judge(gates, subject(stable=None), source, NOW)
    assert found.verdict is Verdict.ERROR
    assert "no stable version" in found.reason


def test_more_windows_in_a_rollout_ask_for_more_evidence_in_each(source):
    Server(source, "1").serve(3000)
    Server(source, "3").serve(40, bad=3)
    gates = parse_gates([{"kind": "error_rate", "max": None}])
    assert judge(gates, subject(windows=1), source, NOW).verdict is Verdict.FAIL
    assert judge(gates, subject(windows=10_000), source, NOW).verdict is Verdict.INCONCLUSIVE


def test_a_later_look_at_the_distribution_asks_for_more_evidence(source):
    Server(source, "1").serve(3000)
    Server(source, "3").serve(200, shift=48)
    gates = parse_gates([{"kind": "distribution"}])
    alphas = [judge(gates, subject(look=look), source, NOW).gates[0].alpha for look in (1, 1000)]
    assert alphas[0] > 1000 * alphas[1]


def test_the_baseline_can_be_compared_with_instead(source):
    Server(source, "3", 5).serve(300, shift=200)
    gates = parse_gates([{"kind": "distribution", "against": "baseline"}])
    assert judge(gates, subject(stable=None), source, NOW).verdict is Verdict.FAIL
    without = judge(gates, subject(profile=None), source, NOW)
    assert without.verdict is Verdict.ERROR
    assert "no baseline" in without.reason


def test_a_version_without_profile_is_judged_by_the_output_it_exposes(source):
    Server(source, "1").serve(3000)
    Server(source, "3").serve(300)
    gates = parse_gates([{"kind": "distribution"}])
    assert judge(gates, subject(profile=None), source, NOW).verdict is Verdict.PASS


def test_several_outputs_and_no_choice_is_an_error_that_names_them(source):
    for version in ("1", "3"):
        server = Server(source, version)
        server.serve(300)
        server._histogram("model_output_value", {**server.labels, "output": "z"}, OUTPUTS, np.full(300, 1.0))
    gates = parse_gates([{"kind": "distribution"}])
    found = judge(gates, subject(profile=None), source, NOW)
    assert found.verdict is Verdict.ERROR
    assert "y, z" in found.reason


def test_bins_without_a_common_edge_cannot_be_compared(source):
    for version, edges in (("1", [1.0, 2.0]), ("3", [1.5, 2.5])):
        server = Server(source, version)
        server._histogram("model_output_value", {**server.labels, "output": "y"}, edges, np.full(300, 1.2))
    found = judge(parse_gates([{"kind": "distribution"}]), subject(), source, NOW)
    assert found.verdict is Verdict.ERROR
    assert "share no edge" in found.reason


@pytest.mark.parametrize(("share", "verdict"), [(0.5, Verdict.PASS), (0.9, Verdict.FAIL)])
def test_classes_are_compared_by_their_counts(source, share, verdict):
    profile = {
        "outputs": [{"name": "label", "kind": "categorical", "categories": ["no", "yes"], "counts": [50, 50]}]
    }
    for version, n, yes in (("1", 2000, 0.5), ("3", 400, share)):
        server = Server(source, version)
        for name, count in (("yes", n * yes), ("no", n * (1 - yes))):
            server._count(
                "model_output_class_total", {**server.labels, "output": "label", "class": name}, count
            )
    gates = parse_gates([{"kind": "distribution"}])
    assert judge(gates, subject(profile=profile), source, NOW).verdict is verdict
    # The class counter alone tells as much as the profile.
    assert judge(gates, subject(profile=None), source, NOW).verdict is verdict


def test_four_gates_ask_three_questions(source):
    Server(source, "1").serve(3000)
    Server(source, "3").serve(200)
    asked = []
    for name in ("increase", "histogram"):
        real = getattr(source, name)
        setattr(source, name, lambda metric, _real=real, **kw: asked.append(metric) or _real(metric, **kw))
    judge(GATES, subject(), source, NOW)
    assert asked == ["model_predictions_total", "model_prediction_seconds", "model_output_value"]


def kayenta(source, *, minutes=12, errors=2.0, points=10, window=None):
    """Two versions with an error count per minute, judged by Kayenta's rule."""
    rng = np.random.default_rng(5)
    start = AT - minutes * 60
    for version, mean in (("1", 2.0), ("3", errors)):
        labels = {"endpoint": "prod", "model": "m", "model_version": version}
        ok = bad = 0.0
        for minute in range(minutes + 1):
            for status, value in (("ok", ok), ("error", bad)):
                source.add(
                    "model_predictions_total", {**labels, "status": status}, start + 60 * minute, value
                )
            ok, bad = ok + 100, bad + rng.poisson(mean)
    gates = parse_gates([{"kind": "kayenta", "metrics": ["errors"], "points": points}])
    return judge(gates, subject(window=window or Window.last(minutes * 60, NOW)), source, NOW)


@pytest.mark.parametrize(("errors", "verdict"), [(2.0, Verdict.PASS), (30.0, Verdict.FAIL)])
def test_kayentas_rule_can_be_asked_instead(source, errors, verdict):
    assert kayenta(source, errors=errors).verdict is verdict


def test_kayentas_rule_looks_once_and_later_looks_read_the_same_points(source):
    early = kayenta(source, window=Window(NOW - timedelta(minutes=12), NOW - timedelta(minutes=3)))
    assert early.verdict is Verdict.NO_DATA
    looks = [Window(NOW - timedelta(minutes=12), NOW - timedelta(seconds=s)) for s in (110, 60, 0)]
    found = [kayenta(source, errors=30.0, window=window).gates[0] for window in looks]
    assert found[0] == found[1] == found[2]


def test_kayentas_rule_fails_closed(source):
    source.outage = "gone"
    gates = parse_gates([{"kind": "kayenta"}])
    assert judge(gates, subject(window=Window.last(900, NOW)), source, NOW).verdict is Verdict.ERROR
    without = judge(gates, subject(stable=None, window=Window.last(900, NOW)), MemorySource(), NOW)
    assert without.verdict is Verdict.ERROR
    empty = judge(gates, subject(window=Window.last(900, NOW)), MemorySource(), NOW)
    assert empty.verdict is Verdict.NO_DATA


def test_a_queue_that_stays_full_fails_the_candidate_only(source):
    for ago in range(0, 61, 5):
        for version, depth in (("1", 500.0), ("3", 3.0 if ago > 30 else 50.0)):
            labels = {"endpoint": "prod", "model_version": version, "instance": "a:1"}
            source.add("model_queue_depth", labels, AT - ago, depth)
    gates = parse_gates([{"kind": "saturation", "max": 10, "for_seconds": 30}])
    found = judge(gates, subject(), source, NOW)
    assert found.verdict is Verdict.FAIL
    assert "50 at a:1" in found.reason
    young = judge(gates, subject(window=Window.last(20, NOW)), source, NOW)
    assert young.verdict is Verdict.NO_DATA


def test_a_query_is_an_error_where_there_is_no_promql(source):
    gates = parse_gates([{"kind": "custom", "query": 'x{v="$stable"}', "max": 1}])
    assert judge(gates, subject(), source, NOW).verdict is Verdict.ERROR
    alone = judge(gates, subject(stable=None), source, NOW)
    assert "there is no stable version" in alone.reason


def test_inputs_are_compared_with_the_profile(source):
    item = {"name": "age", "kind": "numeric", "edges": [0.0], "counts": [500, 500]}
    colour = {"name": "colour", "kind": "categorical", "categories": ["blue", "red"], "counts": [10, 990]}
    profile = {"inputs": [item, colour]}
    labels = {"endpoint": "prod", "model_version": "3"}
    for at, counts in ((AT - 61, [0, 0]), (AT - 1, [100, 900])):
        source.add_histogram(
            "model_input_value", labels | {"feature": "age"}, at, Histogram.of([0.0], counts)
        )
        for name, count in zip(("blue", "red"), counts, strict=True):
            source.add("model_input_class_total", labels | {"feature": "colour", "class": name}, at, count)
    found = judge(parse_gates([{"kind": "input_drift"}]), subject(profile=profile), source, NOW)
    assert (found.verdict, found.gates[0].details["feature"]) == (Verdict.FAIL, "age")
    only = parse_gates([{"kind": "input_drift", "features": ["colour"], "max": 5}])
    assert judge(only, subject(profile=profile), source, NOW).verdict is Verdict.PASS
    missing = judge(parse_gates([{"kind": "input_drift"}]), subject(), source, NOW)
    assert missing.verdict is Verdict.ERROR
    assert "no baseline of its inputs" in missing.reason
