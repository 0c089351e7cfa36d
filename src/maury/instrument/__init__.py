"""The instrument: what the Earth's atmosphere and a spectrograph make of a star's light."""

from maury.instrument.exposure import ExposureSimulator, simulate_exposure
from maury.instrument.spectrograph import Spectrograph
from maury.instrument.telluric import Telluric

__all__ = ["ExposureSimulator", "Spectrograph", "Telluric", "simulate_exposure"]
