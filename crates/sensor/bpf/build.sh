#!/bin/sh
# Builds process.bpf.o next to this script, or at the path given; same compiler, same bytes.
# Needs Debian packages clang, llvm and libbpf-dev. The committed object is built with clang 14.0.6
# and libbpf-dev 1.1.2 (Debian 12); users need none of them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/process.bpf.o}
headers=/usr/include/$(uname -m)-linux-gnu
cd "$here"
clang -O2 -g -target bpf -mcpu=v3 -Wall -Werror -ffile-prefix-map="$here"=. \
    -I"$headers" -c process.bpf.c -o "$out"
llvm-strip -g "$out"
