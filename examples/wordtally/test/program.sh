#!/bin/sh
# Tests of the whole program: what it prints, and what it ends with. Parameter: the program.
set -eu
program=$1
failures=0

# expect WHAT EXPECTED ACTUAL
expect() {
    if test "$2" = "$3"; then
        echo "ok - $1"
    else
        echo "not ok - $1: $3"
        failures=$((failures + 1))
    fi
}

text='The cat and the hat and the bat'
expect 'counts and sorts' '3 the|2 and|1 bat|' \
    "$(printf '%s' "$text" | "$program" -n 3 /dev/stdin | sed 's/^ *//' | tr '\n' '|')"
expect 'reads the standard input' 5 "$(printf '%s' "$text" | "$program" | wc -l | tr -d ' ')"
expect 'prints nothing for nothing' '' "$("$program" </dev/null)"
status=0
"$program" no-such-file 2>/dev/null || status=$?
expect 'fails when a file is missing' 1 "$status"
status=0
"$program" -n many 2>/dev/null || status=$?
expect 'refuses a count that is none' 2 "$status"
exit "$failures"
