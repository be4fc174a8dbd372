"""The console's pure core: facts and measurements in, pages out."""
