"""State of a logic: kept beside its answers, and restored from what was kept and from its inputs."""
