"""The response cache: keyed by what the model gets, bounded, never keeping a batch alive."""

from __future__ import annotations

import numpy as np

from deploy.serving.cache import ResponseCache
from deploy.serving.metrics import Metrics


def cache(entries=2):
    return ResponseCache(entries, Metrics("e", "m", "1"))


def array(*values, dtype=np.float32):
    return np.array([values], dtype=dtype)


def test_equal_tensors_share_a_key_and_others_do_not():
    key = cache().key
    assert key([array(1, 2)]) == key([array(1, 2)])
    different = [
        [array(1, 2)],
        [array(1, 3)],
        [array(1, 2, dtype=np.float64)],
        [array(1, 2).reshape(2, 1)],
        [array(1), array(2)],
        [array("a", "b", dtype=object)],
        [array("a", "b'", dtype=object)],
    ]
    assert len({key(inputs) for inputs in different}) == len(different)


def test_the_least_recently_used_answer_goes_first():
    found = cache(2)
    keys = [found.key([array(number)]) for number in range(3)]
    found.put(keys[0], [array(10)])
    found.put(keys[1], [array(11)])
    assert found.get(keys[0]) is not None
    found.put(keys[2], [array(12)])
    assert found.get(keys[1]) is None
    assert found.get(keys[0])[0].tolist() == [[10]]


def test_an_answer_that_is_too_large_is_not_kept():
    found = cache()
    key = found.key([array(1)])
    found.put(key, [np.zeros((1, 20_000), dtype=np.float32)])
    found.put(key, [array("a" * 70_000, dtype=object)])
    assert found.get(key) is None


def test_an_answer_does_not_keep_its_batch_alive():
    found = cache()
    batch = np.zeros((1000, 4), dtype=np.float32)
    key = found.key([array(1)])
    found.put(key, [batch[3:4]])
    assert found.get(key)[0].base is None
