"""Metrics of predictions, spectra and interventions; they take arrays and callables alone."""
