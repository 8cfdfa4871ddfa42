"""Which rows are for training, for choosing and for testing."""
