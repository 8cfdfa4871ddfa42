"""Question-answer pairs made from bare documents."""
