#!/bin/sh
# The rules of the house that a grep can see: which folder may include which, where Lua's headers and the
# terminal are, how long files may grow. Prints what breaks a rule and fails.
cd "$(dirname "$0")/.." || exit 2
files() { find "$@" -name '*.[ch]' 2>/dev/null | sort; }
complain() { sed "s|^|$1: |"; }
includes() { # folder, then the folders that it may include from, joined by |
    grep -nE '^#include "' $(files "$1") /dev/null | grep -vE "#include \"($2)/" | complain "$1 may not include"
}
too_long() {
    for file in $(files base gan metrics pbt app); do
        case $file in *.h) limit=300 ;; *) limit=800 ;; esac
        lines=$(wc -l <"$file")
        [ "$lines" -le $limit ] || echo "$file has $lines lines, over $limit"
    done
}
check() {
    includes base 'base'
    includes gan 'base|gan'
    includes metrics 'base|gan|metrics'
    includes pbt 'base|pbt'
    grep -lE '#include *[<"](lua|lauxlib|lualib)' $(files base gan metrics pbt app) /dev/null |
        grep -v '^app/lua/' | complain "Lua's headers outside app/lua/"
    grep -nE '(^|[^a-z_])(printf|puts|perror|exit|abort) *\(' $(files base gan metrics pbt) /dev/null |
        grep -vE 'format\(printf' | complain 'printing or exiting outside app/'
    too_long
}
broken=$(check)
if [ -n "$broken" ]; then
    echo "$broken"
    exit 1
fi
echo 'house rules: kept'
