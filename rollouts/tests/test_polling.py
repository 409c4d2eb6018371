"""The threads beside the ticks: what fails is told once and tried again."""

from __future__ import annotations

import logging
import threading

from django.db import OperationalError

from rollouts.polling import Poll


def test_a_round_that_fails_ends_no_thread_and_a_database_that_is_away_is_told_once(caplog):
    caplog.set_level(logging.INFO)
    stop, rounds = threading.Event(), []

    def work() -> bool:
        rounds.append(len(rounds))
        match len(rounds):
            case 1 | 2:
                raise OperationalError("connection refused")
            case 4:
                raise ValueError("a fault")
            case 6:
                stop.set()
        return True

    poll = Poll("beside", 0.001, work, stop)
    poll.start()
    poll.join(20)
    assert len(rounds) == 6 and not poll.is_alive()
    said = [record.getMessage() for record in caplog.records if record.name == "rollouts.beside"]
    assert said == [
        "the database did not answer: connection refused",
        "all is well again",
        "a round failed; it is tried again",
    ]
