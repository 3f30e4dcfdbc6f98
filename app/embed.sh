#!/bin/sh
# Prints a C file that holds the given Lua files: sh app/embed.sh scripts/lib/brood/*.lua > embedded.c
# A script's name is its path after the last lib/: scripts/lib/brood/nn.lua is "brood/nn.lua".
set -eu

echo '/* Made by app/embed.sh. */'
echo '#include "app/embedded.h"'

number=0
for file in "$@"; do
    [ -r "$file" ] || { echo "embed.sh: cannot read $file" >&2; exit 1; }
    echo "static const unsigned char script_$number[] = {"
    # The closing zero keeps the array of an empty file from being empty.
    od -An -v -tu1 "$file" | sed 's/  */ /g; s/^ //; s/ $//; s/ /,/g; s/$/,/'
    echo '0};'
    number=$((number + 1))
done

echo 'const EmbeddedScript embedded_scripts[] = {'
number=0
for file in "$@"; do
    name=$(printf '%s\n' "$file" | sed 's|^.*/lib/||; s|^lib/||')
    echo "    {\"$name\", script_$number, sizeof script_$number - 1},"
    number=$((number + 1))
done
echo '    {NULL, NULL, 0},'
echo '};'
