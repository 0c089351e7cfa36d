"""The journal of a search: what was tried and how it ended, line by line, by Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from maury.errors import TargetError

__all__ = ["SearchJournal"]

JOURNAL, LOCK, NAME = "journal.log", ".lock", "rvis"
STARTUP = 5  # trials before the sampler learns from them and the pruner compares with them


class SearchJournal:
    """A search for the smallest score in a folder, for one process at a time.

    The journal is a file of JSON lines, each on disk before the work goes on; there is no pickle.
    Values are suggested by a tree-structured Parzen estimator, seeded anew for each trial with the
    search's seed and the trial's number, so that it does not matter where a search was stopped.

    A trial is to be given up where its best score so far is worse than the median of the others'
    at that epoch. Unlike successive halving that needs no choice of a smallest budget, and it can
    be applied to the few trials that networks allow.

    Parameters
    ----------
    folder : Path
        Of the search; made if absent.
    facts : mapping
        What the scores depend on, as plain values.
    seed : int
        Of the suggestions.
    warmup : int
        Epochs before which no trial is given up.

    Attributes
    ----------
    study : optuna.Study
        The trials; open within a ``with`` statement.

    Raises
    ------
    TargetError
        On entering, if the folder holds a search with other facts, is in use, or cannot be used.
    """

    study: optuna.Study

    def __init__(self, folder: Path, facts: Mapping[str, Any], *, seed: int, warmup: int) -> None:
        self.folder, self.facts, self.seed, self.warmup = folder, facts, seed, warmup

    def __enter__(self) -> SearchJournal:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / LOCK, timeout=0)
            self._lock.acquire()
        except Timeout:
            raise TargetError(f"Another process is searching in {self.folder}.") from None
        except OSError as error:
            raise TargetError(f"{self.folder} cannot be used ({error.strerror}).") from None
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def left(self, trials: int) -> bool:
        """Whether a trial is unfinished, or there are fewer than so many."""
        states = [trial.state for trial in self.study.trials]
        return len(states) < trials or TrialState.RUNNING in states

    def next(self) -> optuna.Trial:
        """The trial that was being made when the search was stopped, or a new one."""
        trials = self.study.trials
        begun = [trial.number for trial in trials if trial.state is TrialState.RUNNING]
        number = begun[0] if begun else len(trials)
        state = np.random.SeedSequence([self.seed, number]).generate_state(1)[0]
        sampler = optuna.samplers.TPESampler(seed=int(state), n_startup_trials=STARTUP)
        self.study.sampler = sampler
        if not begun:
            return self.study.ask()
        study = self._storage.get_study_id_from_name(NAME)
        place = self._storage.get_trial_id_from_study_id_trial_number(study, number)
        return optuna.Trial(self.study, place)

    def check_exposures(self, found: str) -> None:
        """Refuse to go on with other exposures than the search began with.

        Parameters
        ----------
        found
            Their hash.

        Raises
        ------
        TargetError
            If it is not that of the earlier trials.
        """
        if self.study.user_attrs.get("exposures", found) != found:
            raise TargetError(
                f"The validation exposures have changed since the search in {self.folder} began, "
                "and its scores cannot be compared with new ones; name another --out."
            )
        self.study.set_user_attr("exposures", found)

    def _open(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        path = self.folder / JOURNAL
        try:
            _drop_half_line(path)
            # A process that is killed while it writes leaves this lock, which others wait for.
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
            self._storage = JournalStorage(JournalFileBackend(str(path)))
            self.study = optuna.create_study(
                study_name=NAME,
                storage=self._storage,
                pruner=optuna.pruners.MedianPruner(STARTUP, self.warmup),
                load_if_exists=True,
            )
        except OSError as error:
            raise TargetError(f"{path} cannot be used ({error.strerror}).") from None
        except (AttributeError, KeyError, TypeError, ValueError):
            raise TargetError(
                f"{path} is not the journal of a search; take another --out."
            ) from None
        found = self.study.user_attrs.get("search")
        if found is None:
            self.study.set_user_attr("search", self.facts)
            return
        for key, value in self.facts.items():
            if found.get(key) != value:
                raise TargetError(
                    f"{self.folder} holds a search with {key} = {found.get(key)!r}, not {value!r}; "
                    "name another --out."
                )


def _drop_half_line(path: Path) -> None:
    """Cut off what was being written when the machine stopped."""
    content = path.read_bytes() if path.exists() else b""
    if not content.endswith(b"\n"):
        with path.open("ab") as file:
            file.truncate(content.rfind(b"\n") + 1)
