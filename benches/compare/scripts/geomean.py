#!/usr/bin/env python3
"""One line: rows N geomean R worst W (row). usage: geomean.py results/kv.jsonl --us ENGINE [--metric ops_s]
  geomean.py results/kv.jsonl --us sheaf --metric wamp --lower --peers rocksdb,fjall

Per row (workload, threads, connections): the median over rounds of our figure divided by the best peer's of the same round. Rates leave out rows that are
written only for what is measured beside them; with --lower (amplification, latencies: less is better) all rows count, and those above 1 are named. sled is no peer
in fillsync: it answers before the disk has the write."""
import argparse, json, math, statistics
from collections import defaultdict
options = argparse.ArgumentParser()
options.add_argument("file"); options.add_argument("--us", required=True); options.add_argument("--metric", default="ops_s")
options.add_argument("--lower", action="store_true"); options.add_argument("--peers"); options.add_argument("--workloads")
options = options.parse_args()
cells = defaultdict(lambda: defaultdict(dict))
for line in open(options.file):
    row = json.loads(line)
    if row["workload"] == "warmup" or not row.get(options.metric): continue
    beside = row["workload"] in ("ycsb_load", "tombstone_load", "transaction_load", "churn_load", "churn") or row["workload"].endswith("_closed_size")
    if beside and not options.lower: continue
    if options.workloads and row["workload"] not in options.workloads.split(","): continue
    if options.peers and row["engine"] not in (options.us, *options.peers.split(",")): continue
    if row["workload"] == "fillsync" and row["engine"] == "sled": continue
    cells[(row["workload"], row.get("threads", 1), row.get("conns", 1))][row["round"]][row["engine"]] = row[options.metric]
ratios = {}
for name, rounds in cells.items():
    of_round = []
    for engines in rounds.values():
        peers = [value for engine, value in engines.items() if engine != options.us]
        if options.us in engines and peers: of_round.append(engines[options.us] / (min if options.lower else max)(peers))
    if of_round: ratios[name] = statistics.median(of_round)
if not ratios: raise SystemExit("no row has both us and a peer")
worst = (max if options.lower else min)(ratios, key=ratios.get)
geomean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
print(f"rows {len(ratios)} geomean {geomean:.2f} worst {ratios[worst]:.2f} ({worst[0]} x{worst[1]})")
if options.lower:
    print("above 1: " + ", ".join(f"{name[0]} x{name[1]} {ratio:.2f}" for name, ratio in ratios.items() if ratio > 1.005))
