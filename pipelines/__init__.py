"""The shipped recipes: one TOML file each, with the evidence that it works."""
