"""What every test may ask for; the fixtures themselves live in `support/`."""

pytest_plugins = ["support.broker"]
