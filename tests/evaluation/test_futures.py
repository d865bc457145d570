"""Evaluations under way: each is asked for once, and again after one that could not begin."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from nas_gym import Evaluation
from nas_gym.evaluation.futures import InFlight, promise

DONE = Evaluation("ok", 0.5, (0.5,), 1.0, 0, "settings")


def test_what_could_not_begin_is_asked_for_again() -> None:
    under_way = InFlight()

    def failing() -> Future[Evaluation]:
        joined.append(under_way.join("child", promise))
        raise RuntimeError("no workers")

    joined: list[Future[Evaluation]] = []
    with pytest.raises(RuntimeError, match="no workers"):
        under_way.join("child", failing)
    assert str(joined[0].exception(timeout=60)) == "no workers"  # of one that waited for it
    begun: Future[Evaluation] = promise()
    first, second = (under_way.join("child", lambda: begun) for _ in range(2))
    begun.set_result(DONE)
    assert (first.result(timeout=60).cached, second.result(timeout=60).cached) == (False, True)
