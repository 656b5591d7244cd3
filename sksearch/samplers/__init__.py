"""Samplers say what to try next."""
