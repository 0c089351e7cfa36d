"""Stars near positions, against astropy's search over the sky."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, search_around_sky

from maury.archive.neighbours import pairs


@pytest.mark.parametrize("centre", [(10.0, 0.0), (0.0, 60.0), (200.0, 89.999), (120.0, -90.0)])
@pytest.mark.parametrize("radius", [0.5, 20.0, 3600.0])
def test_pairs_are_those_of_astropy(centre, radius):
    rng = np.random.default_rng(3)
    spread = SkyCoord(*centre, unit="deg").directional_offset_by(
        rng.uniform(0, 360, 300) * u.deg, rng.uniform(0, 60, 300) * u.arcsec
    )
    here, there = spread[:100], spread[80:]
    position, star, separation = pairs(
        here.ra.deg, here.dec.deg, there.ra.deg, there.dec.deg, radius
    )
    theirs_position, theirs_star, theirs_separation, _ = search_around_sky(
        here, there, radius * u.arcsec
    )
    theirs = dict(
        zip(
            zip(theirs_position.tolist(), theirs_star.tolist(), strict=True),
            theirs_separation.arcsec,
            strict=True,
        )
    )
    ours = dict(zip(zip(position.tolist(), star.tolist(), strict=True), separation, strict=True))
    assert ours == pytest.approx(theirs, abs=1e-6) and len(ours) > 10
    # By position, and for each from the nearest outwards.
    assert (np.diff(position) >= 0).all()
    assert (np.diff(separation)[np.diff(position) == 0] >= 0).all()


def test_no_stars_or_no_positions_are_no_pairs():
    none, one = np.empty(0), np.zeros(1)
    for here, there in ((none, one), (one, none)):
        assert [values.size for values in pairs(here, here, there, there, 1.0)] == [0, 0, 0]
