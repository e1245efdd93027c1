#!/usr/bin/env bash
# usage: compare.sh kv|doc|net [arguments of run.py]
# Builds the harness (and, for kv, WiredTiger), runs all engines interleaved, prints every row as a ratio to the best peer of
# the row and one line with their geometric mean.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:?kv, doc or net}; shift
results=results/$kind.jsonl
mkdir -p results vendor
if [ "$kind" = kv ]; then
  if [ ! -f vendor/wiredtiger-11.3.1/build/libwiredtiger.a ]; then
    (cd vendor
     [ -f wiredtiger-11.3.1.tar.gz ] || pip download --no-deps --no-binary :all: wiredtiger==11.3.1 || true
     tar xzf wiredtiger-11.3.1.tar.gz
     cmake -S wiredtiger-11.3.1 -B wiredtiger-11.3.1/build -G Ninja -DCMAKE_BUILD_TYPE=Release -DENABLE_STATIC=1 -DENABLE_SHARED=0 \
       -DENABLE_PYTHON=0 -DENABLE_STRICT=0 -DHAVE_UNITTEST=0 -DENABLE_CPPSUITE=0 -DHAVE_BUILTIN_EXTENSION_SNAPPY=1 -DENABLE_TCMALLOC=0
     ninja -C wiredtiger-11.3.1/build wiredtiger_static)
  fi
  cargo build --release -p kvbench
else
  echo "the $kind suite has no adapter of ours yet" >&2
  exit 1
fi
[ ! -f "$results" ] || mv "$results" "$results.before"
python3 scripts/run.py "$kind" --engines sheaf,rocksdb,wiredtiger,fjall,redb,sled,sqlite "$@"
python3 scripts/summarize.py "$results" --us sheaf
python3 scripts/geomean.py "$results" --us sheaf
