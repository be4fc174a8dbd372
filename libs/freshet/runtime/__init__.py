"""The shell: all IO there is. Reads topics, hands columns to a logic, commits its effects in one transaction."""
