"""When two texts are the same, and the words and sentences of texts in every script."""
