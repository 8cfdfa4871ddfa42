"""Texts as every reader of them needs them."""


def clean(text: str) -> str:
    """The text without white space around it, and without unpaired surrogates, which no tokenizer can read."""
    return text.encode("utf-8", "replace").decode("utf-8").strip()
