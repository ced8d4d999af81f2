"""Stands in for the get-pip.py that ansible-test would download: installs with the pip that ansible_test.sh put beside it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
environment = dict(os.environ, PYTHONPATH=str(pathlib.Path(__file__).parent / "pip"))
environment.pop("GET_PIP", None)
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--quiet", "--ignore-installed", *arguments], env=environment))
