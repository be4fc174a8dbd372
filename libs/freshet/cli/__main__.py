"""`python -m freshet.cli`, where the `freshet` script is not on the path."""

from freshet.cli.entry import main

main()
