"""`hub`: the command line."""
