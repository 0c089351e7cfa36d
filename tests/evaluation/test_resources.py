"""What must hold of measured times and counted parameters; no test looks at a real clock."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maury.errors import MauryError
from maury.evaluation.resources import count_parameters, time_per_spectrum


class Machine:
    """A model whose calls take known times on a clock of its own, done at once or when waited."""

    def __init__(self, *seconds: float, waits: bool = False) -> None:
        self.now = 100.0
        self.seconds = list(seconds)
        self.waits = waits
        self.queued = 0.0

    def call(self, inputs: np.ndarray) -> None:
        self.queued += self.seconds.pop(0)
        if not self.waits:
            self.synchronize()

    def synchronize(self) -> None:
        self.now += self.queued
        self.queued = 0.0

    def clock(self) -> float:
        return self.now


def test_the_median_of_the_repeats_counts_and_the_warm_up_does_not():
    machine = Machine(1000.0, 6.0, 2.0, 4.0)
    seconds = time_per_spectrum(machine.call, np.zeros((8, 3)), clock=machine.clock)
    assert seconds == 4.0 / 8
    assert machine.seconds == []


def test_repeats_and_warm_up_are_as_many_as_asked_for():
    machine = Machine(1000.0, 1000.0, 6.0, 2.0, 1.0, 5.0, 7.0)
    seconds = time_per_spectrum(
        machine.call, np.zeros((2, 3)), repeats=5, warmup=2, clock=machine.clock
    )
    assert seconds == 5.0 / 2
    assert machine.seconds == []


def test_work_that_runs_on_is_waited_for_and_that_of_the_warm_up_is_not_counted():
    machine = Machine(1000.0, 6.0, 2.0, 4.0, waits=True)
    seconds = time_per_spectrum(
        machine.call, np.zeros((4, 3)), synchronize=machine.synchronize, clock=machine.clock
    )
    assert seconds == 4.0 / 4


@pytest.mark.parametrize(("spectra", "repeats"), [(0, 3), (4, 0)])
def test_nothing_to_time_is_refused(spectra, repeats):
    with pytest.raises(MauryError, match=f"not {spectra} and {repeats}"):
        time_per_spectrum(lambda inputs: None, np.zeros((spectra, 3)), repeats=repeats)


def test_parameters_of_a_network_are_counted_as_pytorch_counts_them():
    network = torch.nn.Sequential(torch.nn.Conv1d(1, 4, 5), torch.nn.Linear(7, 2)).half()
    network[1].float()
    counted = count_parameters(network.parameters())
    assert counted.number == 4 * 5 + 4 + 7 * 2 + 2
    assert counted.bytes == 2 * (4 * 5 + 4) + 4 * (7 * 2 + 2)


def test_a_scalar_is_one_parameter_and_a_model_without_any_has_none():
    assert count_parameters([np.float64(1.0)]) == (1, 8)
    assert count_parameters([]) == (0, 0)
