# shellcheck shell=bash
# when.sh CONDITION ACTION: wait until the one command is true, then run the other.
for _ in $(seq 6000); do
    if eval "$1" > /dev/null 2>&1; then
        eval "$2"
        exit 0
    fi
    sleep 0.01
done
exit 1
