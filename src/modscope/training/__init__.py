"""Exact, fast full-batch training."""
