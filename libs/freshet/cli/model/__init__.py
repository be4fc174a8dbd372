"""`freshet model`: models as data, packed, published, promoted and looked at."""
