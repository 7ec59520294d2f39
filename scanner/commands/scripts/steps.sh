#!/bin/sh
# Written by comfy-inventory. Read it, take out the lines that you do not want, then run it with sh.
#
# "keep SIZE MTIME FILE" names a file that is never touched. The "try" lines below it name others
# that held the same bytes. Each of them is compared with it byte by byte before anything is done.
# A file is skipped if it is a link or a folder, has other hard links, or has another size or
# modification time (seconds since 1970) than when its content was known. Files that are replaced
# are replaced in one step. The script may be stopped at any time, and run again.

need cmp stat ln mv cp rm tr
umask 077

number=0 temp='' original=''

# Nothing is lost where the script is stopped between two steps.
tidy() {
    if [ -n "$original" ]; then
        if is_there "$temp" && ! is_there "$original"; then mv "$temp" "$original"; fi
    elif [ -n "$temp" ]; then
        rm -f "$temp"
    fi
    temp='' original=''
}

summary() {
    printf '%s\n' "$finished done ($bytes bytes freed), $skipped skipped, $failed failed."
}
trap stopped HUP INT TERM

keep() { # SIZE MTIME FILE
    kept=$3 kept_size=$1 kept_trouble='' kept_facts=''
    if ! is_there "$kept"; then
        kept_trouble='the kept file is not there'
    elif ! is_plain "$kept"; then
        kept_trouble='the kept file is a link or a folder now'
    elif ! kept_facts=$(facts "$kept"); then
        kept_trouble='the kept file cannot be looked at'
    else
        case $kept_facts in
        "$1 $2 "*) ;;
        *) kept_trouble='the kept file has changed' ;;
        esac
    fi
    # The identity alone: the number of hard links grows with each file that is linked.
    kept_facts=${kept_facts% *}
    kept_id=${kept_facts##* }
}

try() { # ACTION SIZE MTIME FILE
    if [ -n "$kept_trouble" ]; then
        skip "$4" "$kept_trouble"
        return
    fi
    if ! is_there "$4"; then
        skip "$4" 'it is not there'
        return
    fi
    if ! is_plain "$4"; then
        skip "$4" 'it is a link or a folder now'
        return
    fi
    if ! found=$(facts "$4"); then
        fail "$4" 'it cannot be looked at'
        return
    fi
    case $found in
    *" $kept_id "*)
        skip "$4" 'it is the kept file already'
        return
        ;;
    "$2 $3 "*" 1") ;;
    "$2 $3 "*)
        skip "$4" 'it has other hard links'
        return
        ;;
    *)
        skip "$4" 'it has changed'
        return
        ;;
    esac
    device=${found#* * }
    if [ "$1" = link ] && [ "${device%%:*}" != "${kept_id%%:*}" ]; then
        skip "$4" 'it is on another file system'
        return
    fi
    compare "$@"
}

compare() { # ACTION SIZE MTIME FILE
    cmp -s "$kept" "$4"
    case $? in
    0) ;;
    1)
        skip "$4" 'its content differs'
        return
        ;;
    *)
        fail "$4" 'it could not be compared'
        return
        ;;
    esac
    number=$((number + 1))
    temp=${4%/*}/.comfy-inventory-$$-$number.tmp
    if is_there "$temp"; then
        temp=''
        fail "$4" 'the name for its replacement is taken'
        return
    fi
    "do_$1" "$4"
    tidy
}

are_unchanged() { # FILE: it and the kept file are what was compared
    is_plain "$1" && is_plain "$kept" && [ "$(facts "$1")" = "$found" ] || return 1
    now=$(facts "$kept") && [ "${now% *}" = "$kept_facts" ]
}

replace() { # FILE
    if ! are_unchanged "$1"; then
        skip "$1" 'it or the kept file changed meanwhile'
    elif mv -f "$temp" "$1"; then
        temp=''
        count "$1"
    else
        fail "$1" 'it could not be replaced'
    fi
}

count() { # FILE
    finished=$((finished + 1)) bytes=$((bytes + kept_size))
    say "$past" "$1"
}

do_link() { # FILE: the name leads to the kept file's bytes, and gets its times and its mode
    past=linked
    if ln "$kept" "$temp"; then
        replace "$1"
    else
        temp=''
        fail "$1" 'it could not be linked'
    fi
}

do_reflink() { # FILE: it shares the kept file's blocks; times, mode and owner stay its own
    past=cloned
    if ! cp --reflink=always "$kept" "$temp"; then
        fail "$1" 'its blocks could not be shared'
    elif ! cp --attributes-only --preserve=all "$1" "$temp"; then
        fail "$1" 'its times and mode could not be kept'
    else
        replace "$1"
    fi
}

do_delete() { # FILE: out of the way first, and gone only when the kept file is seen to be another
    past=deleted
    if ! are_unchanged "$1"; then
        temp=''
        skip "$1" 'it or the kept file changed meanwhile'
        return
    fi
    original=$1
    if ! mv "$1" "$temp"; then
        fail "$1" 'it could not be moved aside'
    elif [ "${kept%/*}" != "${1%/*}" ] && is_there "${kept%/*}/${temp##*/}"; then
        skip "$1" 'its folder is the kept one under another path'
    elif ! is_plain "$kept" || ! now=$(facts "$kept") || [ "${now% *}" != "$kept_facts" ]; then
        skip "$1" 'the kept file is gone with it'
    elif rm -f "$temp"; then
        temp='' original=''
        count "$1"
    else
        fail "$1" 'it could not be deleted'
    fi
}
