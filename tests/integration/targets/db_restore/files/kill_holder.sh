#!/usr/bin/env bash
# kill_holder.sh FILE OTHER: kill the process of deploy that has FILE open, as soon as OTHER is there. In a container root may not look for it.
set -euo pipefail
process=
until [[ -n $process ]]; do
    process=$(runuser -u deploy -- find /proc/[0-9]*/fd -lname "$1" 2>/dev/null | cut -d / -f 3 | head -n 1) || true
done
until [[ -e $2 ]]; do sleep 0.01; done
kill -KILL "$process"
