"""Writes what follows from the catalogues of metrics and topics: alerts, the dashboard, and pages of docs/."""
