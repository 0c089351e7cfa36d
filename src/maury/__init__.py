"""Stellar parameters from spectra, and spectra from stellar parameters."""
