"""Prepared data: the BEIR folder, and how pairs, labelled texts and judged queries are written to one."""
