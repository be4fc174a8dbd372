"""The webhook bridge: decisions, alarms and trainings out, as signed HTTP requests to an address of yours."""
