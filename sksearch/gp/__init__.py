"""Gaussian processes for maximisation: regression, acquisition, search for the next point.

Arrays in, arrays out; nothing here knows a trial, a parameter or scikit-learn.
"""
