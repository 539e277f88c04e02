"""Scrub, play and hear any tensor, as waves or as spectra."""
