"""What the gateway decides without IO: what a request means, who waits for what, and what its limits are."""
