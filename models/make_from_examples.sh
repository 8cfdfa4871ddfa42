#!/bin/sh
# Trains and measures models/finance or models/legal: sh models/make_from_examples.sh DOMAIN FOLDER-OF-THE-DATA-SETS WORKING-FOLDER
# Trains on examples/data/DOMAIN.jsonl, with three seeds.
set -eu
domain=$1 data=$2 work=$3 models=$(dirname "$0")
mkdir -p "$work"
for set in finance10k policyqa; do
    gzip -dc "$data/$set.jsonl.gz" | awk 'NR % 7 == 1' > "$work/$set.jsonl"
    domain-router prepare "$work/$set.jsonl" --split test --chunk-characters 100000 --out "$work/$set" --overwrite
done
domain-router prepare "$data/medicationqa.jsonl.gz" --split test --chunk-characters 100000 --out "$work/medicationqa" --overwrite
for set in rqe meqsum; do
    domain-router prepare "$data/$set.jsonl.gz" --out "$work/$set" --overwrite
done
domain-router prepare "$models/../examples/data/$domain.jsonl" --out "$work/$domain-data" --overwrite
domain-router train "$work/$domain-data" --domain "$domain" --out "$work/$domain" --overwrite \
    --lora 16 --seed 1 --seed 2 --seed 3 \
    --guard rqe="$work/rqe" --guard meqsum="$work/meqsum" --guard-loss rqe=0.01 --guard-loss meqsum=0.01 \
    --also-evaluate finance10k="$work/finance10k" --also-evaluate policyqa="$work/policyqa" \
    --also-evaluate medicationqa="$work/medicationqa"
rm -rf "$models/$domain"
cp -r "$work/$domain" "$models/$domain"
rm "$models/$domain/report.html" "$models/$domain/query_metrics.json"
cat >> "$models/$domain/README.md" <<END

## Data and licence

Trained on the 720 training pairs of \`examples/data/$domain.jsonl\`; the bundled questions of all fields were mixed in. All pairs were written for
this project, questions in the words that users would choose and answers from general knowledge. They are licensed like the project,
under the Apache License 2.0, and so is the adapter. \`test\` holds 200 questions of the same origin, so it shows less than questions of
other people would. The guards \`rqe\` and \`meqsum\` are medical questions of physicians and patients (RQE, Ben Abacha and
Demner-Fushman, AMIA 2016; MeQSum, ACL 2019; CC BY 4.0). They were not trained on; their dev queries bound the interpolation weight.
\`finance10k\`, \`policyqa\` and \`medicationqa\` were only used for evaluation: they hold every 7th pair of questions on 10-K filings and
privacy policies, and the questions of MedicationQA with the whole answers. The base model, all-MiniLM-L6-v2, is under the Apache License
2.0, too.

Made by \`sh models/make_from_examples.sh $domain DATA WORK\`. The model ranks passages. It gives no advice.
END
