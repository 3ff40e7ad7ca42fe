#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# One test for a CI of the kernel: each scenario's cheapest variant and its controls, in less than 300 seconds.
# As root, on a test VM, in any folder:
#
#     selftests/ksft_faultline.sh
#     vng --run . -- PATH/selftests/ksft_faultline.sh         in the tree of a kernel, see docs/install.md
#
# Exits 0 (nothing failed), 1 (something did) or 4 (nothing could be tried: it says why). Writes KTAP.
#
# FAULTLINE          the driver (else: beside this script, else of this tree, else the installed one)
# FAULTLINE_MODULE   faultline.ko (else: one of those places, or of DKMS, that is for this kernel, else it is built)
# KDIR               the tree that it is built against (else: the current folder if this kernel was built there, else
#                    /lib/modules/RELEASE/build)
# FAULTLINE_BUDGET   seconds for all scenarios together (200, less if the module had to be built)
# FAULTLINE_RUN      scenarios or families (all)
# FAULTLINE_BOUND    seconds for everything (285)

here=$(cd "$(dirname "$0")" && pwd)
release=$(uname -r)
start=$(date +%s)
bound=${FAULTLINE_BOUND:-285} # seconds from here: a kernel that hangs the driver must be told of within the 300
least=$((bound / 5)) # seconds, without which a start makes no sense
status_fail=1
status_skip=4

skip()
{
	printf 'TAP version 13\n1..0 # SKIP %s\n' "$1"
	exit $status_skip
}

fail()
{
	printf 'TAP version 13\n1..1\n# %s\nnot ok 1 faultline\n' "$1"
	exit $status_fail
}

find_driver()
{
	for driver in "$FAULTLINE" "$here/faultline" "$here/../build/user/faultline" "$(command -v faultline)"; do
		[ -x "$driver" ] && return
	done
	return 1
}

# Is this file, which may be compressed, for the running kernel?
is_for_this_kernel()
{
	[ -f "$1" ] || return 1
	case $1 in
	*.ko) built_for=$(grep -a -o 'vermagic=[^ ]*' "$1") ;;
	*) built_for=vermagic=$(modinfo -F vermagic "$1") ;;
	esac
	[ "${built_for%% *}" = "vermagic=$release" ]
}

find_module()
{
	[ -n "$FAULTLINE_MODULE" ] && module=$FAULTLINE_MODULE && return
	for module in "$here/faultline.ko" "$here/../kmod/faultline.ko" "$(modinfo -n faultline 2>/dev/null)"; do
		is_for_this_kernel "$module" && return
	done
	return 1
}

find_tree()
{
	for tree in "$KDIR" "$PWD" "/lib/modules/$release/build"; do
		[ "$(cat "$tree/include/config/kernel.release" 2>/dev/null)" = "$release" ] && return
	done
	return 1
}

# In a copy, as the source may be read-only, or of another user.
build_module()
{
	[ -d "$here/../kmod" ] || skip "no faultline.ko for $release, and no source of it"
	find_tree || skip "no faultline.ko for $release, and no tree to build it against: KDIR=PATH"
	cp -r "$here/../kmod" "$scratch/kmod"
	rm -f "$scratch"/kmod/*.o "$scratch"/kmod/*.ko "$scratch"/kmod/*.mod*
	if ! make -j "$(nproc)" -C "$tree" M="$scratch/kmod" CONFIG_DEBUG_INFO_BTF_MODULES= modules > "$scratch/log" 2>&1; then
		grep -q 'faultline needs CONFIG' "$scratch/log" && skip "$(grep -o 'faultline needs CONFIG.*' "$scratch/log" | head -n 1)"
		sed 's/^/# /' "$scratch/log" | tail -n 30
		fail "the module does not build against $tree"
	fi
	module=$scratch/kmod/faultline.ko
}

[ "$(id -u)" = 0 ] || skip "needs root"
find_driver || skip "no driver: make user, or FAULTLINE=PATH"
scratch=$(mktemp -d) || fail "no folder for temporary files"
trap 'rm -rf "$scratch"' EXIT
find_module || build_module

left=$((bound - $(date +%s) + start))
[ $left -ge $least ] || fail "the module was built in $((bound - left)) seconds, too many: build it before (make modules KDIR=PATH)"
budget=${FAULTLINE_BUDGET:-200}
[ "$budget" -le $((left - least / 2)) ] || budget=$((left - least / 2))

# A task that the kernel holds for good cannot be killed, and so neither be waited for: by no pipe, no wait.
# shellcheck disable=SC2086 # names, several
(
	"$driver" run --module "$module" --fastest --budget "$budget" --ktap "$scratch/ktap" $FAULTLINE_RUN
	echo $? > "$scratch/ended"
	mv "$scratch/ended" "$scratch/status"
) < /dev/null > "$scratch/output" 2>&1 &
while [ ! -f "$scratch/status" ] && [ $(($(date +%s) - start)) -lt "$bound" ]; do
	sleep 1
done
sed 's/^/# /' "$scratch/output"
status=$(cat "$scratch/status" 2>/dev/null)
if [ -z "$status" ]; then
	pkill -KILL -P $!
	status="none within $bound seconds"
fi

case $status in
0|1) cat "$scratch/ktap" ;;
2)
	grep -q 'no virtual machine' "$scratch/output" && skip "this is no virtual machine: see the kernel log"
	fail "nothing could be tried" ;;
*)
	cat "$scratch/ktap" 2>/dev/null
	echo "Bail out! the driver's status: $status"
	exit $status_fail ;;
esac
[ "$status" = 0 ] || exit $status_fail
grep '^ok ' "$scratch/ktap" | grep -v -q '# SKIP' || exit $status_skip
