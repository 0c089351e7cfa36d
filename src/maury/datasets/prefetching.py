"""Batches made in the background while the last one is being used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

__all__ = ["ahead"]

Item = TypeVar("Item")


def ahead(
    make: Callable[[int], Item], indices: Iterable[int], *, depth: int = 2
) -> Generator[Item, None, None]:
    """What `make` gives for each number, in order, made in the background while others are used.

    Parameters
    ----------
    make
        Called in one thread of its own; with a GPU it has a stream of its own, too.
    indices
        Numbers of batches; to go on at batch k begin with k.
    depth
        How many are made before they are asked for.

    Examples
    --------
    >>> list(ahead(lambda index: index**2, range(2, 5)))
    [4, 9, 16]
    """
    stream = torch.cuda.Stream() if torch.cuda.is_available() else None

    def work(index: int) -> tuple[Item, torch.cuda.Event | None]:
        if stream is None:
            return make(index), None
        with torch.cuda.stream(stream):
            item = make(index)
            return item, stream.record_event()

    def received(future: Future[tuple[Item, torch.cuda.Event | None]]) -> Item:
        item, ready = future.result()
        if ready is not None:
            current = torch.cuda.current_stream()
            current.wait_event(ready)
            for value in item if isinstance(item, tuple) else ():
                if isinstance(value, Tensor) and value.is_cuda:
                    # Its memory is not to be used again before this stream is through with it.
                    value.record_stream(current)
        return item

    pending: deque[Future[tuple[Item, torch.cuda.Event | None]]] = deque()
    with ThreadPoolExecutor(1, "batches") as pool:
        try:
            for index in indices:
                pending.append(pool.submit(work, index))
                if len(pending) > depth:
                    yield received(pending.popleft())
            while pending:
                yield received(pending.popleft())
        finally:
            pool.shutdown(cancel_futures=True)
