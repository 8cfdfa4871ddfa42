"""Sources of training data: files and data sets, read as pairs, labels, logs, triplets and BEIR folders."""
