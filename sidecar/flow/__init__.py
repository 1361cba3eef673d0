"""The corridor: asks the doors, consults the quiet floor, writes the book."""
