"""Language models that are asked over HTTP: chat, cached answers, retries and budgets."""
