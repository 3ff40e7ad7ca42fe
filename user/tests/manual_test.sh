#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The driver's manual, as it is installed: manual_test.sh PATH/faultline. A missing checker is named, and its
# part is left out; without any checker, the test is skipped (77).
set -eu
driver=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
checked=0

"$driver" man --into "$folder"
pages=$(find "$folder" -name '*.[15]')
[ "$(echo "$pages" | wc -l)" -eq 3 ]

# Each command that --help lists has its part.
"$driver" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p' > "$folder/commands"
[ "$(wc -l < "$folder/commands")" -ge 10 ]
while read -r command; do
	grep -q "^\.SS faultline $command\b" "$folder/man1/faultline.1" || { echo "no part about $command"; exit 1; }
	"$driver" help "$command" > "$folder/help"
	grep -q Usage "$folder/help" || { echo "help $command says nothing"; exit 1; }
done < "$folder/commands"
for topic in debugfs scenario-files tmpfs_file collapse-contract; do
	[ "$("$driver" help "$topic" | wc -l)" -gt 2 ] || { echo "help $topic says nothing"; exit 1; }
done
if "$driver" help no-such-topic 2> "$folder/help"; then echo "an unknown topic is no error"; exit 1; fi

# A line that roff does not understand is a word on stderr.
if command -v groff > /dev/null; then
	checked=1
	for page in $pages; do
		groff -man -ww -z "$page" 2>> "$folder/complaints"
	done
else
	echo "groff is missing: the pages are not formatted by it"
fi
if command -v mandoc > /dev/null; then
	checked=1
	for page in $pages; do
		mandoc -T lint -W warning "$page" >> "$folder/complaints" || true
	done
else
	echo "mandoc is missing: the pages are not checked by it"
fi
"$driver" completion bash > "$folder/faultline.bash"
"$driver" completion zsh > "$folder/_faultline"
bash -n "$folder/faultline.bash"
if command -v zsh > /dev/null; then zsh -n "$folder/_faultline"; else echo "zsh is missing: its script is not parsed"; fi
if [ -s "$folder/complaints" ]; then cat "$folder/complaints"; exit 1; fi
[ "$checked" = 1 ] || exit 77
