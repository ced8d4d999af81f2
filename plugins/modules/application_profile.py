#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The work is done on the controller, by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: application_profile
short_description: Check an application profile and fill in its defaults
version_added: 0.1.0
description:
  - Runs on the controller, before any host is asked.
  - Names every mistake in the profile at once, and what was probably meant.
  - Decides the identity of the run, which the lock, the messages and the report share.
author:
  - lastgood contributors (@lastgood)
extends_documentation_fragment:
  - lastgood.rollback._attributes
  - lastgood.rollback._attributes.controller
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  action:
    support: full
options:
  profile:
    description: The application profile. Its keys are described in the guide of profiles.
    type: dict
    required: true
  severity:
    description: The kind of rollback, part of the id of the run.
    type: str
    default: rollback
  report_directory:
    description: Folder on the controller in which the run gets a folder of its own.
    type: path
    default: reports
  watch_seconds:
    description: How long to watch after reopening, in whole seconds; anything else is refused.
    type: raw
  session:
    description: Whether to open a session on the host when the profile is right, see M(lastgood.rollback.rollback_session).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Check the profile
  lastgood.rollback.application_profile:
    profile: "{{ rollback_application }}"
    severity: standard
"""

RETURN = r"""
ansible_facts:
  description: What the following tasks work with.
  returned: success
  type: dict
  contains:
    rollback_profile:
      description: The profile with all defaults, without the address of the webhook, which is a secret.
      type: dict
    rollback_identity:
      description: The id of the run, its actor, controller, begin (Unix time) and folder on the controller.
      type: dict
    lastgood_session:
      description: Where the session on the host listens.
      returned: O(session=true)
      type: str
mistakes:
  description: What is wrong with the profile.
  returned: failure
  type: list
  elements: str
"""
