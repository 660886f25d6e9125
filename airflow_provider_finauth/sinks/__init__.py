"""Where the records of a pull land. Plain Python: targets are handed in."""
