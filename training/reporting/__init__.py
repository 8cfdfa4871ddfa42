"""What a run found: metrics on test sets, verdicts, report, model card and page."""
