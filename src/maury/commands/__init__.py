"""The verbs of the command line, one module each; `maury.cli` makes them known."""
