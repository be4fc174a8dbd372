"""The schemas topic as a schema registry that is only read, for clients and consoles that ask for one."""
