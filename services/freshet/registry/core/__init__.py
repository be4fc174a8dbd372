"""The registry's pure core: facts in, decisions out."""
