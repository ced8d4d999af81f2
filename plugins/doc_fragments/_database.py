# Copyright (c) 2026, lastgood contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to lastgood.rollback: may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    """Which database and who logs in, the same for all modules that work on databases."""

    DOCUMENTATION = r"""
options:
  environment_file:
    description:
      - The C(.env) file of a Laravel application on the host, which names the database and has its login
        (C(DB_CONNECTION), C(DB_HOST), C(DB_PORT), C(DB_SOCKET), C(DB_DATABASE), C(DB_USERNAME), C(DB_PASSWORD), or C(DB_URL)).
    type: path
  environment_user:
    description: The user who may read O(environment_file), and the SQLite database. Default is the user of the connection.
    type: str
  engine:
    description: The kind of database; V(mysql) is MariaDB too. Default is what O(environment_file) says, else V(mysql).
    type: str
    choices: [mysql, postgresql, sqlite]
  database:
    description: The name of the database, or the path of the SQLite file. Default is what O(environment_file) says.
    type: str
  login_user:
    description:
      - The database user, when there is no O(environment_file).
      - Together with O(environment_file), this user logs in instead of the application's; the file still says which database on which server.
    type: str
  login_password:
    description: The password of O(login_user).
    type: str
  login_host:
    description: The database server's host, when there is no O(environment_file).
    type: str
    default: 127.0.0.1
  login_port:
    description:
      - The database server's port, when there is no O(environment_file). Default is V(5432) for PostgreSQL, else V(3306).
    type: int
  login_unix_socket:
    description:
      - The database server's socket, used instead of host and port. For PostgreSQL it is the folder that the socket is in.
      - A PostgreSQL login by socket without a password is by the system's user (peer). The database's programs then run as the system user
        O(login_user), such as V(postgres).
    type: path
"""
