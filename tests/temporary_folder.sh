#!/bin/sh
# Makes a folder for what a run of all tests writes, and prints its name: in memory where that has room.
# A run makes and removes hundreds of thousands of small files, each of which costs a disk up to a millisecond
# of processor time. Nothing is promised less: tests end processes, and none cuts the power of its machine.
set -eu

MEMORY=/dev/shm
NEEDED_KIB=3145728

has_room() {
    [ -w "$MEMORY" ] &&
        [ "$(df -Pk "$MEMORY" | awk 'NR == 2 {print $4}')" -ge "$NEEDED_KIB" ] &&
        [ "$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)" -ge "$NEEDED_KIB" ]
}

# Containers often mount it so that nothing in it can be run; tests run servers from their folders.
runs_programs() {
    printf '#!/bin/sh\n' >"$1/program"
    chmod +x "$1/program"
    "$1/program" 2>/dev/null || return 1
    rm "$1/program"
}

made=
if has_room; then
    made=$(mktemp -d "$MEMORY/bridge-XXXXXX")
    runs_programs "$made" || { rm -rf "$made"; made=; }
fi
[ -n "$made" ] || made=$(mktemp -d "${TMPDIR:-/tmp}/bridge-XXXXXX")
chmod 711 "$made" # PostgreSQL runs as another user where the tests are root's
echo "$made"
