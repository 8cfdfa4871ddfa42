"""What a training run learns from: hard negatives, batches and mixtures."""
