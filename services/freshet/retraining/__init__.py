"""Retraining: it watches the labelled log and what happened, and trains a new model when it is time for one."""
