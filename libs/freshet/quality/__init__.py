"""How good answers were: counts that add up, the metrics they give, and the fold of the log that makes them."""
