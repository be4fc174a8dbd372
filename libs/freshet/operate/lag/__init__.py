"""How far the services of a pipeline are behind, as seen from outside them."""
