"""A package, for its files are called like those of the modules that the commands use."""
