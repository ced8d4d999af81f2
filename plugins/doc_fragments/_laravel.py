# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    """Where the application is and who owns it, the same for all modules that work on Laravel."""

    DOCUMENTATION = r"""
options:
  path:
    description: The application's directory, the one that holds C(artisan); an absolute path.
    type: path
    required: true
  user:
    description:
      - The user who owns the application. Everything inside it is read and written as this user, never as another one.
      - Default is the owner of O(path).
    type: str
  php:
    description: The PHP program that the application runs with on the command line.
    type: str
    default: php
"""
