"""Pure functions on arrays over the residues: spectra, filters, symmetries, waves."""
