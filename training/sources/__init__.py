"""What people bring: rows of files and data sets, read as pairs, labels, logs, triplets and BEIR folders."""
