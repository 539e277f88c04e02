"""The claims, one a module."""
