"""Batching: company is shared, waiting is not forced, and no request pays for its neighbour."""

from __future__ import annotations

import asyncio
import threading
from time import perf_counter

import numpy as np
import pytest

from deploy.serving.batching import Batcher
from deploy.serving.datatypes import BY_OIP
from deploy.serving.errors import DeadlineExceeded, ModelFailed, Overloaded, QueueFull
from deploy.serving.metrics import Metrics
from deploy.serving.signature import Signature, TensorSpec

FP32 = BY_OIP["FP32"]


class Doubler:
    """Doubles its rows; fails on 13; waits for `gate` when there is one."""

    def __init__(self, row=(1,), gate=None):
        self.signature = Signature((TensorSpec("X", FP32, (-1, *row)),), (TensorSpec("Y", FP32, (-1, *row)),))
        self.gate = gate
        self.sizes = []

    def run(self, inputs):
        if self.gate is not None:
            assert self.gate.wait(10)
        self.sizes.append(len(inputs[0]))
        if (inputs[0] == 13).any():
            raise ModelFailed("thirteen")
        return [inputs[0] * 2]


def batcher(model, **options):
    return Batcher(model, Metrics("e", "m", "1"), **{"max_batch": 8, "inline": True, **options})


def rows(*values):
    return [np.array([[value] for value in values], dtype=np.float32)]


def submit(batch, *values, seconds=10.0):
    return batch.submit(rows(*values), len(values), perf_counter() + seconds).future


async def answers(*futures):
    results = await asyncio.gather(*futures, return_exceptions=True)
    return [result if isinstance(result, Exception) else result[0].ravel().tolist() for result in results]


@pytest.mark.parametrize("inline", [True, False])
async def test_requests_that_come_together_share_runs_and_get_their_own_rows(inline):
    model = Doubler()
    batch = batcher(model, inline=inline)
    futures = [submit(batch, value, value + 100) for value in range(10)]
    assert await answers(*futures) == [[2 * value, 2 * value + 200] for value in range(10)]
    assert model.sizes == [8, 8, 4]
    batch.close()


@pytest.mark.parametrize("inline", [True, False])
async def test_one_failing_request_costs_its_neighbours_nothing(inline):
    model = Doubler()
    batch = batcher(model, inline=inline)
    first, bad, last = await answers(submit(batch, 1), submit(batch, 13), submit(batch, 3))
    assert (first, last) == ([2], [6])
    assert isinstance(bad, ModelFailed)
    assert model.sizes == [3, 1, 1, 1]
    batch.close()


async def test_a_failing_request_that_was_alone_is_not_run_twice():
    model = Doubler()
    (bad,) = await answers(submit(batcher(model), 13))
    assert isinstance(bad, ModelFailed)
    assert model.sizes == [1]


async def test_rows_of_different_shapes_never_share_a_run():
    model = Doubler(row=(-1,))
    batch = batcher(model)
    short, long = np.ones((1, 2), dtype=np.float32), np.ones((1, 3), dtype=np.float32)
    jobs = [batch.submit([array], 1, perf_counter() + 10) for array in (short, long, short, long)]
    outputs = [(await job.future)[0].shape for job in jobs]
    assert outputs == [(1, 2), (1, 3), (1, 2), (1, 3)]
    assert model.sizes == [2, 2]


async def test_a_model_whose_rows_depend_on_each_other_runs_requests_alone():
    model = Doubler()
    batch = batcher(model, mergeable=False)
    assert await answers(submit(batch, 1), submit(batch, 2)) == [[2], [4]]
    assert model.sizes == [1, 1]


async def test_a_request_larger_than_a_batch_runs_whole():
    model = Doubler()
    batch = batcher(model, max_batch=2)
    await answers(submit(batch, 1), submit(batch, 1, 2, 3), submit(batch, 4))
    assert model.sizes == [1, 3, 1]


async def test_a_full_queue_refuses_the_next_request():
    gate = threading.Event()
    batch = batcher(Doubler(gate=gate), inline=False, limit=2)
    running = submit(batch, 1)
    await asyncio.sleep(0)
    waiting = [submit(batch, 2), submit(batch, 3)]
    with pytest.raises(Overloaded) as caught:
        submit(batch, 4)
    assert caught.value.retry_after == 1
    assert batch.depth == 2
    gate.set()
    assert await answers(running, *waiting) == [[2], [4], [6]]
    assert batch.idle
    batch.close()


async def test_a_queue_that_takes_longer_than_the_deadline_allows_is_full_before_its_limit():
    gate = threading.Event()
    batch = batcher(Doubler(gate=gate), inline=False, longest_wait=0.1, mergeable=False)
    first = submit(batch, 1)
    await asyncio.sleep(0.3)
    gate.set()
    await first
    gate.clear()
    running = submit(batch, 1)
    await asyncio.sleep(0)
    waiting = []
    with pytest.raises(QueueFull):
        for _ in range(50):
            waiting.append(submit(batch, 2))
    assert 1 <= len(waiting) < 10, "a run was seen to take 0.3 s, a tenth of which counts"
    gate.set()
    await answers(running, *waiting)
    batch.close()


async def test_what_cannot_be_ready_in_time_is_not_computed():
    gate = threading.Event()
    model = Doubler(gate=gate)
    batch = batcher(model, inline=False, mergeable=False)
    batch._seconds_per_run = 0.2
    running = submit(batch, 1)
    await asyncio.sleep(0)
    hopeless, patient = submit(batch, 2, seconds=0.5), submit(batch, 3)
    await asyncio.sleep(0.35)
    gate.set()
    results = await answers(running, hopeless, patient)
    assert isinstance(results[1], DeadlineExceeded)
    assert model.sizes == [1, 1]
    batch.close()


async def test_what_waits_while_the_model_runs_shares_the_next_run():
    gate = threading.Event()
    model = Doubler(gate=gate)
    batch = batcher(model, inline=False)
    futures = [submit(batch, 1)]
    await asyncio.sleep(0)
    futures += [submit(batch, value) for value in range(2, 6)]
    gate.set()
    await answers(*futures)
    assert model.sizes == [1, 4]
    batch.close()


async def test_deadlines_end_waiting_and_running_requests_in_time():
    gate = threading.Event()
    model = Doubler(gate=gate)
    batch = batcher(model, inline=False)
    start = perf_counter()
    running = submit(batch, 1, seconds=0.05)
    await asyncio.sleep(0)
    waiting, patient = submit(batch, 2, seconds=0.05), submit(batch, 3)
    both = await answers(running, waiting)
    assert all(isinstance(result, DeadlineExceeded) for result in both)
    assert perf_counter() - start < 1
    gate.set()
    assert await answers(patient) == [[6]]
    assert model.sizes == [1, 1], "an expired request must not be computed"
    batch.close()


async def test_an_idle_server_adds_no_delay_but_a_busy_one_fills_its_batches():
    model = Doubler()
    batch = batcher(model, delay=30.0, max_batch=4)
    assert await asyncio.wait_for(answers(submit(batch, 1)), 5) == [[2]]
    await asyncio.wait_for(answers(submit(batch, 1), submit(batch, 2)), 5)
    pending = [submit(batch, value) for value in range(3)]
    await asyncio.sleep(0.01)
    assert model.sizes == [1, 2], "company was there a moment ago: it waits for more"
    pending.append(submit(batch, 3))
    await asyncio.wait_for(answers(*pending), 5)
    assert model.sizes == [1, 2, 4], "a full batch waits for nobody"


async def test_queue_compute_and_batch_sizes_are_counted():
    metrics = Metrics("e", "m", "1")
    batch = Batcher(Doubler(), metrics, max_batch=8, inline=True)
    await answers(submit(batch, 1, 2), submit(batch, 3))
    text = metrics.text()
    labels = 'endpoint="e",model="m",model_version="1"'
    assert f"model_queue_seconds_count{{{labels}}} 2\n" in text
    assert f"model_compute_seconds_count{{{labels}}} 2\n" in text
    assert f"model_batch_size_sum{{{labels}}} 3.0\n" in text
    assert f"model_batch_size_count{{{labels}}} 1\n" in text


@pytest.mark.parametrize("inline", [True, False])
async def test_a_bug_in_a_run_fails_its_requests_instead_of_leaving_them_waiting(inline):
    class Broken(Doubler):
        def run(self, inputs):
            raise MemoryError

    batch = batcher(Broken(), inline=inline)
    results = await asyncio.wait_for(answers(submit(batch, 1), submit(batch, 2)), 5)
    assert all(isinstance(result, ModelFailed) for result in results)
    assert batch.idle
    batch.close()
