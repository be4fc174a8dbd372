"""Every metric there is, once: what services, alerts, dashboards and docs/metrics.md are made from."""
