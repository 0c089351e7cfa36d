"""Archives and catalogues over the network: ESO's spectra, and what is known of their stars."""
