"""How a mutant changes what a mock answers."""
