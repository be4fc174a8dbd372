"""The `freshet` command: one thin file for each noun or verb."""
