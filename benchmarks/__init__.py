"""Measurements of comfy-inventory, started by `make bench`."""
