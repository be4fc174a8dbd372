"""`freshet up`: all that some pipelines need, in one terminal."""
