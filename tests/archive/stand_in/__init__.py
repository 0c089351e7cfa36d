"""Stand-ins for the services over the network that `maury.archive` asks.

One local HTTP server plays ESO's archive, SIMBAD, MAST and SWEET-Cat with answers that are shaped
as the services document them, and fails in the ways in which they fail. Nothing here knows maury.
"""

from stand_in.world import StandIn

__all__ = ["StandIn"]
