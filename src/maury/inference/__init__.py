"""From spectra to labels."""
