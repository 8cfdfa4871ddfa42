"""Texts as every reader of them needs them."""

import unicodedata


def clean(text: str) -> str:
    """The text in normal form C, without white space around it, and without unpaired surrogates.

    No tokenizer can read those, and each may read other normal forms in another way.
    """
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8")).strip()
