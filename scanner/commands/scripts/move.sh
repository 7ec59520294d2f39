#!/bin/sh
# Written by comfy-inventory. Read it, take out the lines that you do not want, then run it with sh.
#
# "move SIZE MTIME FILE TARGET" moves a file. It is skipped if it is a link or a folder, has other
# hard links, or has another size or modification time (seconds since 1970) than it was listed with.
# Nothing is ever overwritten: where the target is there already, the file stays. A file that goes to
# another disk is copied, compared byte by byte, and only then removed. The script may be stopped at
# any time, and run again.

need cmp stat ln mv cp rm tr mkdir dirname

temp=''

summary() {
    printf '%s\n' "$finished moved ($bytes bytes), $skipped skipped, $failed failed."
}

tidy() {
    if [ -n "$temp" ]; then rm -f "$temp"; fi
    temp=''
}
trap stopped HUP INT TERM

move() { # SIZE MTIME FILE TARGET
    if ! is_there "$3"; then
        skip "$3" 'it is not there'
        return
    fi
    if ! is_plain "$3"; then
        skip "$3" 'it is a link or a folder now'
        return
    fi
    if ! found=$(facts "$3"); then
        fail "$3" 'it cannot be looked at'
        return
    fi
    case $found in
    "$1 $2 "*" 1") ;;
    "$1 $2 "*)
        skip "$3" 'it has other hard links'
        return
        ;;
    *)
        skip "$3" 'it has changed'
        return
        ;;
    esac
    if is_there "$4"; then
        skip "$3" 'there is a file at its target'
        return
    fi
    folder=$(dirname -- "$4" && echo x)
    folder=${folder%?x}
    if ! mkdir -p -- "$folder"; then
        fail "$3" 'the folder of its target cannot be made'
        return
    fi
    here=${found#* * } there=$(facts "$folder") || there='? ? ?:'
    there=${there#* * }
    if [ "${here%%:*}" = "${there%%:*}" ]; then
        put "$3" "$3" "$4" "$1"
    else
        carry "$3" "$4" "$1"
    fi
    tidy
}

put() { # FROM FILE TARGET SIZE: the name FROM becomes TARGET, unless that has come meanwhile
    if [ "$(facts "$2")" != "$found" ]; then
        skip "$2" 'it changed meanwhile'
    elif ln "$1" "$3" 2>/dev/null && rm -f "$2"; then
        moved "$2" "$4"
    elif ! is_there "$3" && mv -n "$1" "$3" && ! is_there "$1"; then # no hard links here
        if [ "$1" = "$2" ] || rm -f "$2"; then moved "$2" "$4"; else fail "$2" 'only copied'; fi
    else
        fail "$2" 'it could not be moved'
    fi
}

carry() { # FILE TARGET SIZE: to another disk
    temp=$folder/.comfy-inventory-$$.tmp
    if is_there "$temp"; then
        temp=''
        fail "$1" 'the name for its copy is taken'
    elif ! cp -p "$1" "$temp" || ! cmp -s "$1" "$temp"; then
        fail "$1" 'it could not be copied'
    else
        put "$temp" "$1" "$2" "$3"
    fi
}

moved() { # FILE SIZE
    finished=$((finished + 1)) bytes=$((bytes + $2))
    say moved "$1"
}
