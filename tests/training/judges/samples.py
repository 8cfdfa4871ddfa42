"""A tiny cross-encoder with random weights."""

from pathlib import Path

import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from registry import BaseModelFiles


def save_cross_encoder(folder: Path, base: BaseModelFiles, outputs: int = 1) -> Path:
    """A BERT of one layer with the tokenizer of a base model, whose scores are far apart."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(str(base.path))
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, num_labels=outputs, **sizes)
    config.initializer_range = 1.0
    BertForSequenceClassification(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder
