"""A pipeline.yaml in which every section and every kind of part stands, and the events that it is for."""

from typing import Any

import yaml

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Payment",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "card", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "amount", "type": "double"},
        {"name": "count", "type": "int"},
        {"name": "mcc", "type": {"type": "enum", "name": "Mcc", "symbols": ["FOOD", "FUEL"]}},
    ],
}
EVERY_SECTION: dict[str, Any] = yaml.safe_load("""
pipeline: pay
entity: card
event_id: id
event_time: at
partitions: 3
partitioning: rekey
decoder: avro
unknown_fields: refuse
headers: drop
max_event_bytes: 1000
max_event_age: 7d
max_event_skew: 10m
rules:
  - {field: amount, min: 0, max: 10, required: true, finite: true}
  - {field: mcc, one_of: [FOOD]}
features:
  version: 2
  columns:
    - {kind: log, of: amount}
    - {kind: field, of: amount, name: plain, default: 0.5}
    - {kind: one_hot, of: mcc, vocabulary: [FOOD]}
    - {kind: cyclic_time, of: at, period: day}
    - {kind: impute, of: count, value: 0}
    - {kind: ratio, of: amount, per: count, since: 2}
target: {kind: classes, classes: [legit, fraud]}
label: {horizon: 2d, grace: 1d, wait: 1d, absent_after: 1d, means: legit}
slices: [{name: large, feature: plain, min: 1, below: 3}]
detectors: [{kind: adwin}, {kind: labels}, {kind: promise}]
profile:
  window: 500
  reference: 5
  detectors:
    - {kind: psi, effect: 0.2, rate: 0.01, cool_down: 100}
    - {kind: wasserstein}
    - {kind: answers}
    - {kind: missing}
    - {kind: range}
    - {kind: stale, silence: 2h}
    - {kind: unusual}
rollout: {policy: gated, prepare_timeout: 60s}
retraining:
  trainer: {kind: hist-gradient-boosting, iterations: 5, learning_rate: 0.1, balance: true}
  triggers:
    - {kind: alarm, suspected: 2}
    - {kind: rows, every: 50}
    - {kind: age, after: 7d}
    - {kind: schedule, at: "03:00"}
    - {kind: command}
  seed: 1
  min_rows: 20
  max_rows: 1000
  holdout: 0.2
  cool_down_rows: 3
  most_per_day: 3
  gate:
    - {metric: accuracy, not_worse_by: 0.01}
    - {metric: accuracy, slice: large, at_least: 0.5}
    - {metric: latency_ms, at_most: 1}
  approval: required
limits: {max_model_mb: 5, max_memory_mb: 50, max_batch_rows: 50, batch_p99_ms: 5, commit_interval_ms: 5}
""")
