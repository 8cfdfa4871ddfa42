#!/bin/sh
# Trains and measures models/banking: sh models/make_banking.sh FOLDER-OF-THE-DATA-SETS WORKING-FOLDER
# Trains on all training texts of BANKING77, which takes half an hour on one CPU core.
set -eu
data=$1 work=$2 models=$(dirname "$0")

domain-router prepare "$data/banking77.jsonl.gz" --kind labels --split random --skip-bad --out "$work/banking77" --overwrite
domain-router prepare "$data/clinc150.jsonl.gz" --kind labels --split random --skip-bad --label intent \
    --where domain=banking --out "$work/clinc-banking" --overwrite
domain-router prepare "$data/clinc150.jsonl.gz" --kind labels --split random --skip-bad --label intent \
    --where domain=credit_cards,travel,work --out "$work/clinc-others" --overwrite
domain-router train "$work/banking77" --domain banking --out "$work/banking" --overwrite \
    --lora 16 --batch-size 32 --negatives 0 --epochs 2 --min-gain-kept 1 \
    --also-evaluate clinc-banking="$work/clinc-banking" --also-evaluate clinc-others="$work/clinc-others"
rm -rf "$models/banking"
cp -r "$work/banking" "$models/banking"
rm "$models/banking/report.html"  # it quotes the data
cat >> "$models/banking/README.md" <<'END'

## Data and licence

Trained on the training texts of BANKING77 (Inigo Casanueva, Tadas Temcinas, Daniela Gerz, Matthew Henderson and Ivan Vulic,
"Efficient Intent Detection with Dual Sentence Encoders", 2020, [arXiv 2003.04807](https://arxiv.org/abs/2003.04807)), licensed
under [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/). BANKING77 holds queries of bank customers with 77 intents. The model
was trained to embed queries with the same intent close together. `test` is the published test part. `clinc-banking` and
`clinc-others` were only used for evaluation: they hold the intents of CLINC150's domain banking, asked by other people, and of its
domains credit cards, travel and work. The adapter is adapted material under the same licence. The base model, all-MiniLM-L6-v2, is
under the Apache License 2.0.

With many relevant texts per query, MRR@5 says little. Better measures are NDCG@10 and the accuracy of a nearest-neighbour vote in
`benchmarks/RESULTS.md`.

Made by `sh models/make_banking.sh DATA WORK`. The model finds queries with the same intent, not answers.
END
