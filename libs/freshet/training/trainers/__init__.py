"""The trainers, one file each; a new file here is found by its `kind`."""
