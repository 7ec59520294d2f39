LC_ALL=C
export LC_ALL
set -u

finished=0 skipped=0 failed=0 bytes=0

need() { # TOOL...
    for tool in "$@"; do
        if ! command -v "$tool" >/dev/null; then
            echo "This script needs $tool, which is not installed here." >&2
            exit 2
        fi
    done
}

say() { # WORD FILE [REASON]: one line, whatever the name holds
    printf '%s\n' "$1: $(printf '%s' "$2" | tr '[:cntrl:]' '?')${3:+ ($3)}"
}

skip() {
    skipped=$((skipped + 1))
    say skipped "$1" "$2"
}

fail() {
    failed=$((failed + 1))
    say FAILED "$1" "$2" >&2
}

facts() { # FILE: size, mtime, identity, number of hard links
    stat -c '%s %Y %d:%i %h' -- "$1" 2>/dev/null || stat -f '%z %m %d:%i %l' -- "$1" 2>/dev/null
}

is_there() {
    [ -e "$1" ] || [ -L "$1" ]
}

is_plain() {
    [ -f "$1" ] && [ ! -L "$1" ]
}

stopped() {
    trap '' HUP INT TERM
    tidy
    echo 'Stopped.' >&2
    summary
    exit 1
}

finish() {
    trap - HUP INT TERM
    summary
    [ "$failed" -eq 0 ] || exit 1
    exit 0
}

