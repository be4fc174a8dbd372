"""`freshet verify` of drift: the labelled log, evaluations and alarms follow from predictions and labels."""
