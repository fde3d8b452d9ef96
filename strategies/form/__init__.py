"""A strategy as a form: its fields from the schema and the catalog, and the text with the values entered."""
