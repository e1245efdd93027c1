#!/usr/bin/env bash
# usage: compare.sh kv|doc|net [arguments of run.py]
# Builds the harness and the peers of the suite, runs all engines interleaved, prints every row as a ratio to the best peer of the row
# and one line with their geometric mean. Debian's packages are installed when root; else the missing ones are named.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(pwd)
kind=${1:?kv, doc or net}; shift
results=results/$kind.jsonl
mkdir -p results vendor data

packages() {
  local missing=()
  for package in "$@"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
  [ ${#missing[@]} = 0 ] && return
  if [ "$(id -u)" = 0 ]; then DEBIAN_FRONTEND=noninteractive apt-get install -y -q "${missing[@]}" >/dev/null
  else echo "these packages are needed: ${missing[*]}" >&2; exit 1; fi
}
wiredtiger() {
  [ -f vendor/wiredtiger-11.3.1/build/libwiredtiger.a ] && return
  (cd vendor
   # pip takes the source and then fails to make a wheel of it; only the source is wanted.
   [ -f wiredtiger-11.3.1.tar.gz ] || pip download --no-deps --no-binary :all: wiredtiger==11.3.1 >/dev/null 2>&1 || true
   tar xzf wiredtiger-11.3.1.tar.gz
   cmake -S wiredtiger-11.3.1 -B wiredtiger-11.3.1/build -G Ninja -DCMAKE_BUILD_TYPE=Release -DENABLE_STATIC=1 -DENABLE_SHARED=0 \
     -DENABLE_PYTHON=0 -DENABLE_STRICT=0 -DHAVE_UNITTEST=0 -DENABLE_CPPSUITE=0 -DHAVE_BUILTIN_EXTENSION_SNAPPY=1 -DENABLE_TCMALLOC=0
   ninja -C wiredtiger-11.3.1/build wiredtiger_static)
}
postgres() {
  packages postgresql-15
  scripts/pg.sh start >/dev/null
  trap 'scripts/pg.sh stop >/dev/null' EXIT
}

case $kind in
kv)
  packages clang libclang-dev cmake ninja-build libsnappy-dev
  wiredtiger
  cargo build --release -p kvbench
  engines=sheaf,rocksdb,wiredtiger,fjall,redb,sled,sqlite ;;
doc)
  # PoloDB brings a RocksDB of its own, SecantusDB a WiredTiger, SurrealDB builds for half an hour: by name only
  # (`-- --engines sheaf,secantus,...` after building them with setup.sh).
  packages postgresql-15
  engines=sheaf,sqlite_json,sqlite_jsonb,postgres
  (cd docbench && CARGO_TARGET_DIR=$root/target_doc cargo build --release --no-default-features --features mongo)
  postgres ;;
net)
  packages postgresql-15 protobuf-compiler
  cargo build --release -p netbench
  (cd ../.. && cargo build --quiet --release --package sheaf-server --bin sheafd)
  engines=sheaf,tcp,grpc,pg
  postgres ;;
*) echo "kv, doc or net" >&2; exit 2 ;;
esac

[ ! -f "$results" ] || mv "$results" "$results.before"
python3 scripts/run.py "$kind" --engines "$engines" "$@"
python3 scripts/summarize.py "$results" --us sheaf
python3 scripts/geomean.py "$results" --us sheaf >"$results.geomean"
if [ "$kind" = kv ]; then
  printf '\nwrite amplification / space amplification / p99.9 in us / peak resident memory in MB:\n'
  python3 scripts/table.py "$results" wamp samp p999_us rss_peak_mb --engines=sheaf,rocksdb,fjall
  echo
fi
# The last line is the one that is kept.
cat "$results.geomean"
