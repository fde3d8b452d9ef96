"""The repository's documentation as pages of the site, readable without a network."""
