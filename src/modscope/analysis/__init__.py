"""Numbers and tables about one network."""
