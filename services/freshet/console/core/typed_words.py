"""Words of command lines that people copy into a terminal."""

from shlex import quote


def typed(word: str) -> str:
    """One word of a command, whatever a stranger wrote on a topic: a shell takes it as it is, and runs nothing in it.

    What is not printable, and could be keys to a terminal, becomes a question mark.
    """
    return quote("".join(one if one.isprintable() else "?" for one in word))
