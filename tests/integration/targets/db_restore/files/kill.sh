#!/bin/sh
# In the place of the client: ends who called it, without a chance to clean up, before the change with the number in lastgood-kill.
case "$*" in
*--binary-mode*--comments*)
    left=$(cat /home/deploy/lastgood-kill)
    echo $((left - 1)) >/home/deploy/lastgood-kill
    [ "$left" -ne 1 ] || kill -KILL "$PPID"
    ;;
esac
exec /usr/bin/mariadb "$@"
