import json

import pytest

from deploy.demo import tally
from deploy.demo.tally import EndpointTally


def test_answers_are_counted_by_version_and_code() -> None:
    counted = EndpointTally("regression")
    counted.succeeded("1", "200", at=10.0, predicted=3.0, label=1.0)
    counted.went_wrong("2", "500", at=11.0, detail="index out of range")
    counted.went_wrong("2", "500", at=12.0, detail="again")
    assert (counted.ok, counted.failed) == (1, 2)
    assert counted.versions["1"].codes == {"200": 1}
    assert counted.versions["2"].codes == {"500": 2}


def test_the_first_bad_answer_of_a_version_is_kept_with_its_time() -> None:
    counted = EndpointTally("regression")
    counted.succeeded("2", "200", at=10.0, predicted=3.0, label=1.0)
    counted.went_wrong("2", "500", at=11.0, detail="x" * 1000)
    counted.went_wrong("2", "503", at=12.0, detail="later")
    first = counted.versions["2"].first_bad
    assert first is not None
    assert (first.at, first.code, len(first.detail)) == (11.0, "500", tally.DETAIL_LENGTH)
    assert (counted.versions["2"].first_at, counted.versions["2"].last_at) == (10.0, 12.0)


def test_live_rmse_comes_from_the_labels() -> None:
    counted = EndpointTally("regression")
    for predicted, label in ((3.0, 0.0), (0.0, 4.0)):
        counted.succeeded("1", "200", 1.0, predicted, label)
    assert tally.quality("regression", counted.versions["1"]) == {"rmse": pytest.approx(3.5355, abs=1e-4)}


def test_live_accuracy_comes_from_the_labels() -> None:
    counted = EndpointTally("classification")
    for predicted, label in ((0.9, 1.0), (0.2, 1.0), (0.1, 0.0), (0.6, 0.0)):
        counted.succeeded("1", "200", 1.0, predicted, label)
    assert tally.quality("classification", counted.versions["1"]) == {"accuracy": 0.5}


def test_a_version_that_answered_nothing_well_has_no_quality() -> None:
    counted = EndpointTally("classification")
    counted.went_wrong("1", "500", 1.0, "no")
    assert counted.to_dict()["versions"]["1"]["quality"] == {}


def test_counters_go_on_where_an_earlier_process_stopped(tmp_path) -> None:
    counted = EndpointTally("regression", sent=3, skipped=1)
    counted.succeeded("1", "200", 1.0, 2.0, 1.0)
    counted.went_wrong("2", "500", 2.0, "no")
    tally.write(tmp_path / tally.FILE, 5.0, "http://gateway", {"e": counted})
    document = tally.read(tmp_path / tally.FILE)
    assert EndpointTally.from_dict("regression", document["endpoints"]["e"]) == counted


@pytest.mark.parametrize("document", [{}, {"sent": 1}, {"sent": "many", "ok": 0, "failed": 0, "skipped": 0}])
def test_a_document_of_another_shape_starts_the_counters_anew(document) -> None:
    assert EndpointTally.from_dict("regression", document) == EndpointTally("regression")


@pytest.mark.parametrize("content", [None, "", "[]", '{"at":'])
def test_a_missing_or_broken_file_reads_as_nothing_counted(tmp_path, content) -> None:
    path = tmp_path / tally.FILE
    if content is not None:
        path.write_text(content)
    assert tally.read(path)["endpoints"] == {}


def test_the_file_is_json_that_others_can_read(tmp_path) -> None:
    tally.write(tmp_path / tally.FILE, 5.0, "http://gateway", {"e": EndpointTally("regression")})
    document = json.loads((tmp_path / tally.FILE).read_text())
    assert document["endpoints"]["e"]["sent"] == 0
    assert document["at"] == 5.0
