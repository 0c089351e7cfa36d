"""The stand-in as maury sees it."""

from __future__ import annotations

from stand_in import StandIn

from maury.archive.services import Services
from maury.archive.session import ArchiveSession

__all__ = ["Outside"]


class Outside(StandIn):
    """All services, with their addresses and a session of the package.

    Attributes
    ----------
    services : Services
        The addresses.
    session : ArchiveSession
        Which asks three times, with hardly a pause.
    """

    def __init__(self) -> None:
        super().__init__()
        self.services = Services(**self.addresses)
        self.session = ArchiveSession(attempts=3, pause=0.01)

    def close(self) -> None:
        """Stop, and close all connections."""
        self.session.close()
        super().close()
