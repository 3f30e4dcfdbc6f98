#!/bin/sh
# usage: beside_torch.sh BENCH_STEP
# Times the DCGAN step of Brood and of PyTorch in turn, one thread each, three times for each size, and prints
# the ratio of the medians of those: above 1, Brood is faster.
bench=$1
here=$(dirname "$0")
python=/usr/bin/python3
$python -c 'import torch' 2>/dev/null || {
    echo "PyTorch is missing: apt-get install python3-torch" >&2
    exit 1
}
for size in '64 3' '32 3' '16 1'; do
    ours= theirs=
    for turn in 1 2 3; do
        line=$(OPENBLAS_NUM_THREADS=1 $bench $size)
        echo "$line"
        ours="$ours $(echo "$line" | sed 's/.*: \([0-9.]*\) ms.*/\1/')"
        line=$($python "$here/dcgan_torch.py" 1 $size)
        echo "$line"
        theirs="$theirs $(echo "$line" | sed 's/.*: \([0-9.]*\) ms.*/\1/')"
    done
    echo "$ours $theirs" | awk -v size="$size" '
        function median(a, b, c) { return a + b + c - (a > b ? (a > c ? a : c) : (b > c ? b : c)) - (a < b ? (a < c ? a : c) : (b < c ? b : c)) }
        { printf "width and channels %s: Brood is %.2f times as fast\n", size, median($4, $5, $6) / median($1, $2, $3) }'
done
