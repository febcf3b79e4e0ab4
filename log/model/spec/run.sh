#!/bin/sh
# Checks ownership.pml exhaustively: first that the protocol holds, then that the
# checker finds what goes wrong when a rule is left out. Needs spin and a C
# compiler, two minutes on an idle machine, and 2 GB of memory.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# check WANTED NAME FLAGS…: WANTED is holds or fails.
check() {
	wanted=$1 name=$2
	shift 2
	spin -a "$@" "$here/ownership.pml" >/dev/null
	${CC:-cc} -O2 -DSAFETY -DCOLLAPSE -DVECTORSZ=1024 -DMEMLIM=6000 -w -o pan pan.c
	rm -f ownership.pml.trail
	./pan -E -m1000000 -w24 >out 2>&1 || true
	if grep -q 'errors: 0' out && ! grep -q -e 'Search not completed' -e 'too small' out; then
		got=holds
	elif grep -q 'assertion violated' out; then
		got=fails
	else
		got=unfinished
	fi
	printf '%-10s %-42s %12s states, %s\n' "$got" "$name" \
		"$(awk '/states, stored/ { print $1 }' out)" "$(sed -n 's/.*elapsed time //p' out)"
	if [ "$got" != "$wanted" ]; then
		cat out
		if [ -f ownership.pml.trail ]; then
			spin -t -p "$@" "$here/ownership.pml" | tail -150
		fi
		exit 1
	fi
}

one='-DN=3 -DW=1 -DE=2 -DK=2'
two='-DN=4 -DW=2 -DE=2 -DK=2'

# shellcheck disable=SC2086 # flags are words
{
	check holds 'W=1, 2 lives, 3 numbers' $one
	check holds 'W=1, 2 lives, 4 numbers' -DN=4 -DW=1 -DE=2 -DK=2
	check holds 'W=1, 3 lives, 3 numbers, 1 write, no reader' -DN=3 -DW=1 -DE=3 -DK=1 -DNO_READER
	check holds 'the same without the demand on the epoch' -DN=3 -DW=1 -DE=3 -DK=1 -DNO_READER -DNO_REREADEPOCH
	check holds 'W=2, 2 lives, 3 numbers, no reader' -DN=3 -DW=2 -DE=2 -DK=2 -DNO_READER
	check holds 'W=2, 2 lives, 4 numbers, no reader' $two -DNO_READER
	check holds 'W=2, 2 lives, 4 numbers, no GC' $two -DNO_GC

	check fails 'without the fence' $one -DNO_FENCE
	check fails 'without reading the head again' $one -DNO_REREAD
	check fails 'without filling the next W-1' $two -DNO_FILL -DNO_GC
	check fails 'filling before the head is read again' $two -DNO_FILLLAST -DNO_READER
	check fails 'acknowledging more than a prefix' $two -DNO_ACKPREFIX -DNO_READER
	check fails 'without stepping down' $one -DNO_STEPDOWN
	check fails 'without voiding lower epochs' $two -DNO_VOID -DNO_GC
	check fails 'deleting before the floor is raised' $one -DNO_FLOORFIRST
	check fails 'deleting fences' $one -DNO_KEEPFENCES
	check fails 'without reading the occupant' $one -DNO_READOCCUPANT
	check fails 'readers that do not read the floor again' $one -DNO_READFLOOR
	check fails 'positions without their epoch' $two -DNO_SAVEEPOCH
}
