"""Sets of spectra to train and test on."""
