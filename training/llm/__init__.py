"""Language models behind HTTP APIs: prompts, cached answers, retries and budgets."""
