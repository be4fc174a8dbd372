"""The labelled log: what was answered, what turned out to be true, and the features, row by row in one order."""
