"""Small tensors are slower with several threads, and far slower where others use the cores."""

import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    """One thread for the tests of models, and as many as before for those that follow."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
