"""Sphinx's configuration. `make docs` builds the pages; reference_pages.py writes the reference before that."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from fercli._version import __version__  # noqa: E402

project = "fercli"
author = "The fercli developers"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "reference_pages"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "notebooks"]
default_role = "code"  # docstrings write `name` for code, as Markdown does
highlight_language = "none"  # a block says what it is

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"exclude-members": "model_config, __init__, pictures"}
autodoc_class_signature = "separated"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing"]  # links to files of the repository; tests/test_docs.py checks every link

html_theme = "furo"
html_title = "fercli"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["wide.css"]
