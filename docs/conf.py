"""How Sphinx builds the documentation: `sphinx-build -W docs docs/_build`."""

from __future__ import annotations

import sksearch

project = "sksearch"
author = "The sksearch developers"
project_copyright = "The sksearch developers"
release = version = sksearch.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"sksearch {release}"

myst_heading_anchors = 3

autodoc_typehints = "none"  # numpydoc's sections say the types
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# Docstrings inherited from scikit-learn point into its glossary and its user guide, which are not here.
suppress_warnings = ["ref.term", "ref.ref"]
