#!/bin/sh
# damage.sh COMMAND...: hold a lock that a dump must wait for, run COMMAND once it waits, and let the lock go.
ask() { mariadb --batch --skip-column-names --execute "$1"; }
let_go() {
    for session in $(ask "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'"); do
        ask "KILL $session"
    done
    wait
}
trap let_go EXIT
trap 'exit 1' TERM
mariadb --execute "LOCK TABLES orders WRITE; ALTER TABLE orders FORCE; SELECT SLEEP(60)" lastgood_shop &
for _ in $(seq 500); do
    ask "SELECT state FROM information_schema.processlist WHERE user = 'lastgood_shop'" | grep -q '^Waiting for table' && break
    sleep 0.1
done
"$@"
sleep 1
