"""Foreign files in, one network out."""
