"""Search spaces: what users write for each parameter, and points of the unit cube for the samplers.

>>> from sksearch.space import Integer, Real, Space
>>> space = Space.parse({"C": Real(0.01, 100, "log-uniform"), "degree": Integer(1, 4)}, argument="search_spaces")
>>> space.encode({"C": 1.0, "degree": 4})
array([0.5  , 0.875])
"""

from __future__ import annotations

from sksearch.space.dimensions import Dimension
from sksearch.space.parsing import parse_dimension
from sksearch.space.space import Column, Space
from sksearch.space.specs import Categorical, Integer, Real

__all__ = ["Categorical", "Column", "Dimension", "Integer", "Real", "Space", "parse_dimension"]
