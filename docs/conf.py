"""How Sphinx builds the site; tests/tools/docs.sh writes the pages beside it first."""

project = "lastgood.rollback"
title = html_short_title = "lastgood.rollback"
copyright = "lastgood contributors"
extensions = ["sphinx_antsibull_ext"]
pygments_style = "ansible"
html_theme = "sphinx_ansible_theme"
html_use_index = html_use_modindex = html_copy_source = False
suppress_warnings = ["ref.ref"]  # labels of the docs of Ansible itself; antsibull-docs has checked our own
