#!/usr/bin/python
# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The work is done on the controller, by the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: notification
short_description: Post a message to a Slack-compatible webhook
version_added: 0.1.0
description:
  - Best effort. A message that does not arrive never fails the task; whether it arrived is returned and recorded.
  - The address is handed to the sender on its standard input and appears in no argument, result or file.
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
    support: none
  action:
    support: full
options:
  webhook_url:
    description: Where to post, a secret. Empty to post nothing.
    type: str
  event:
    description: What the message is about, such as V(started).
    type: str
    required: true
  text:
    description: The message.
    type: str
    required: true
  fields:
    description: Names and values shown under the message.
    type: dict
  channel:
    description: The channel to post to.
    type: str
  colour:
    description: The colour of the bar beside the fields; a colour code or V(good), V(warning), V(danger).
    type: str
    default: '#439FE0'
  timeout:
    description: Seconds that the receiver may take.
    type: int
    default: 5
  record:
    description: File on the controller that is to say whether the message arrived.
    type: path
  wait:
    description: Whether to wait for the receiver.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Tell the team
  lastgood.rollback.notification:
    webhook_url: "{{ vault_webhook_url }}"
    event: started
    text: Rolling back chom
    wait: false
"""

RETURN = r"""
delivered:
  description: Whether the receiver answered with a 2xx status.
  returned: when it was waited for
  type: bool
error:
  description: Why it did not arrive.
  returned: when it did not arrive
  type: str
"""
