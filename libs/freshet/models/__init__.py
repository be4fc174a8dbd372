"""Models as data: chunks and manifests, what a graph may be, the sandbox that judges it, the session that scores."""
