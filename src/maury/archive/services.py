"""Addresses of the services that are asked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields

__all__ = ["Services"]


@dataclass(frozen=True)
class Services:
    """Where each service is.

    Parameters
    ----------
    eso_tap : str
        ESO's Table Access Protocol over observations; the table is ``ivoa.ObsCore``.
    eso_files : str
        What a file's identifier (``dp_id``) follows.
    eso_token : str
        Where a password is exchanged for a token.
    simbad_tap : str
        SIMBAD's Table Access Protocol.
    mast : str
        The Mikulski archive, which has the TESS Input Catalog.
    sweetcat : str
        SWEET-Cat as one CSV file.

    Examples
    --------
    >>> Services.from_environment({"MAURY_ESO_TAP": "http://localhost:8000/tap"}).eso_tap
    'http://localhost:8000/tap'
    """

    eso_tap: str = "https://archive.eso.org/tap_obs"
    eso_files: str = "https://dataportal.eso.org/dataPortal/file"
    eso_token: str = "https://www.eso.org/sso/oidc/token"
    simbad_tap: str = "https://simbad.cds.unistra.fr/simbad/sim-tap"
    mast: str = "https://mast.stsci.edu"
    sweetcat: str = "https://sweetcat.iastro.pt/catalog/SWEETCAT_Dataframe.csv"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Services:
        """The usual ones, but for those of ``MAURY_ESO_TAP``, ``MAURY_MAST`` and so on."""
        named = {item.name: environment.get(f"MAURY_{item.name.upper()}") for item in fields(cls)}
        return cls(**{name: address.rstrip("/") for name, address in named.items() if address})
