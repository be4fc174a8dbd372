"""`freshet verify`: judges the promises P1 and P2 from the bytes on the topics alone."""
