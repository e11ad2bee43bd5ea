"""A wiring as plain arrays: its fields, what makes it one, and parts of it. Files of any format hold this."""
