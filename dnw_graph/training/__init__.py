"""Configuration, training loop, checkpoints, evaluation. Import what you need from its modules."""
