"""Tasks in several processes."""

import pytest

from maury.datasets.workers import share
from maury.errors import MauryError

KILLED = "__import__('os').kill(__import__('os').getpid(), 9)"


def test_one_task_that_fails_or_kills_its_process_leaves_the_others_alone() -> None:
    tasks = ["1 + 1", "1 / 0", KILLED, "2 * 2", "__import__('numba').get_num_threads()"]
    outcomes = {outcome.task: outcome for outcome in share(eval, tasks, 2)}
    assert list(outcomes) != [] and set(outcomes) == set(tasks)
    assert (outcomes["1 + 1"].value, outcomes["2 * 2"].value) == (2, 4)
    assert outcomes[tasks[-1]].value == 1
    assert outcomes["1 / 0"].error == "ZeroDivisionError: division by zero"
    assert outcomes[KILLED].error == (
        "The process that was at it ended (killed, most likely for memory)."
    )
    assert all(outcome.seconds >= 0 for outcome in outcomes.values())


def test_processes_that_cannot_start_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.spawn._python_exe", b"/bin/false")
    with pytest.raises(MauryError, match=r"cannot start \(exit code 1\)"):
        list(share(eval, ["1"], 1))


def test_nothing_to_do_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maury.datasets.workers._Worker", None)
    assert list(share(eval, [], 2)) == []
