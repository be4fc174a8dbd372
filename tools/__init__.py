"""What only Freshet's maintainers run, from a checkout. It is not part of the installed package."""
