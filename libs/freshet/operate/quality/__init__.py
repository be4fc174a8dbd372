"""`freshet quality`: what the evaluations say of each series, over time, beside what models promised."""
