"""What a person sees at a terminal: help by task, tables, completion, and colours."""
