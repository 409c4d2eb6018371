import pytest

from monitoring.errors import Overloaded
from monitoring.models import Label, Prediction
from monitoring.samples.ingest import take_labels, take_predictions
from monitoring.samples.retention import trim
from monitoring.tests.samples.records import NOW, label, prediction

DAY = 86_400
pytestmark = pytest.mark.django_db


def test_a_batch_is_kept_and_what_was_kept_before_is_a_duplicate():
    first = take_predictions([prediction("a"), prediction("b"), prediction("a", "2")], NOW)
    assert (first.accepted, first.duplicates, first.refused) == (3, 0, ())
    again = take_predictions([prediction("a", value=0.9), prediction("c"), prediction("c")], NOW + 1)
    assert (again.accepted, again.duplicates) == (1, 2)
    assert Prediction.objects.get(request_id="a", version="1").outputs == {"score": [0.5]}
    assert Prediction.objects.count() == 4


def test_a_bad_record_is_refused_and_the_others_are_kept():
    taken = take_predictions([prediction("a"), {"endpoint": "x"}, prediction("b", at=NOW + 999)], NOW)
    assert taken.accepted == 1
    assert [item.index for item in taken.refused] == [1, 2]
    assert taken.refused[1].reason.startswith("at: It lies in the future")


def test_the_same_request_id_on_two_endpoints_is_two_predictions():
    take_predictions([prediction("a"), prediction("a", endpoint="other")], NOW)
    assert Prediction.objects.count() == 2


def test_a_table_that_is_full_takes_nothing_until_it_is_trimmed(settings):
    settings.SLIPWAY_SAMPLES_MAX = 20
    take_predictions([prediction(f"r{number}") for number in range(25)], NOW - 100)
    with pytest.raises(Overloaded) as caught:
        take_predictions([prediction("late")], NOW)
    assert caught.value.retry_after == 60
    assert trim(NOW) == 7
    assert not Prediction.objects.filter(request_id="r6").exists(), "the oldest go first"
    assert take_predictions([prediction("late")], NOW).accepted == 1


def test_more_than_the_rate_is_told_when_to_come_again(settings):
    settings.SLIPWAY_SAMPLES_PER_SECOND = 2
    take_predictions([prediction(f"r{number}") for number in range(20)], NOW)
    with pytest.raises(Overloaded) as caught:
        take_predictions([prediction("more")], NOW + 4)
    assert caught.value.retry_after == 6
    assert take_predictions([prediction("more")], NOW + 10).accepted == 1


def test_what_is_old_is_deleted_and_what_is_young_stays(settings):
    settings.SLIPWAY_SAMPLES_KEEP_DAYS = 2
    take_predictions([prediction("old", at=NOW - 2 * DAY)], NOW - 2 * DAY - 1)
    take_labels([label("old", at=NOW - 2 * DAY)], NOW - 2 * DAY - 1)
    take_predictions([prediction("young")], NOW)
    take_labels([label("young")], NOW)
    assert trim(NOW) == 2
    assert Prediction.objects.get().request_id == Label.objects.get().request_id == "young"


def test_a_label_sent_again_counts_once_and_another_value_replaces_it():
    first = take_labels([label("a", 1), label("b", "cat"), label("c", True)], NOW)
    assert (first.accepted, first.changed, first.duplicates) == (3, 0, 0)
    again = take_labels([label("a", 1), label("b", "dog"), label("c", 0.0), label("d", 2)], NOW + 1)
    assert (again.accepted, again.changed, again.duplicates) == (1, 2, 1)
    values = dict(Label.objects.values_list("request_id", "number")) | dict(
        Label.objects.exclude(text="").values_list("request_id", "text")
    )
    assert values == {"a": 1.0, "b": "dog", "c": 0.0, "d": 2.0}


def test_within_a_batch_the_last_value_of_a_label_counts():
    taken = take_labels([label("a", 1), label("a", 2)], NOW)
    assert (taken.accepted, taken.duplicates) == (1, 1)
    assert Label.objects.get().number == 2


def test_labels_without_a_prediction_wait_for_it():
    take_predictions([prediction("known")], NOW)
    taken = take_labels([label("known"), label("unknown")], NOW)
    assert (taken.accepted, taken.waiting) == (2, 1)


def test_labels_of_several_names_and_versions_live_side_by_side():
    taken = take_labels([label(), label(name="revenue", value=9.5), label(version="2", value=0)], NOW)
    assert (taken.accepted, Label.objects.count()) == (3, 3)
