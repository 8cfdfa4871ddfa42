#!/bin/sh
# Trains and measures models/medical: sh models/make_medical.sh FOLDER-OF-THE-DATA-SETS WORKING-FOLDER [ADAPTER]
# Trains on all of MedQuAD, which takes seven minutes on a GPU and hours without; measuring takes an hour on two CPU cores.
# With ADAPTER, a model folder that was trained by the command below, nothing is trained.
set -eu
data=$1 work=$2 models=$(dirname "$0")
adapter=${3:-$work/adapter}
mkdir -p "$work"
domain-router prepare "$data/medquad.jsonl.gz" --split random --out "$work/medquad" --overwrite
domain-router prepare "$data/medicationqa.jsonl.gz" --split test --chunk-characters 1000000 --out "$work/medicationqa" --overwrite
for set in finance10k policyqa; do
    gzip -dc "$data/$set.jsonl.gz" | awk 'NR % 7 == 1' > "$work/$set.jsonl"
    domain-router prepare "$work/$set.jsonl" --split test --chunk-characters 1000000 --out "$work/$set" --overwrite
done
for set in rqe meqsum; do
    domain-router prepare "$data/$set.jsonl.gz" --out "$work/mixed-$set" --overwrite
done
examples=$models/../examples/data
head -n 400 "$examples/finance.jsonl" > "$work/finance.jsonl"
head -n 350 "$examples/legal.jsonl" > "$work/legal.jsonl"
cp "$examples/medical.jsonl" "$work/medical.jsonl"
for set in finance legal medical; do
    domain-router prepare "$work/$set.jsonl" --out "$work/mixed-$set" --overwrite
done
if [ ! -e "$adapter" ]; then
    domain-router train "$work/medquad" --domain medical --out "$work/adapter" \
        --lora 16 --batch-size 128 --negatives 4 --mini-batch 128 --seed 2 --without-bundled-questions \
        --mix rqe="$work/mixed-rqe" --mix meqsum="$work/mixed-meqsum" \
        --mix finance="$work/mixed-finance" --mix legal="$work/mixed-legal" --mix medical="$work/mixed-medical"
fi
python "$models/measure_medical.py" "$adapter" "$work" "$work/model"

# The classifier profile is made from a quarter of the pairs, without three sources.
gzip -dc "$data/medquad.jsonl.gz" | awk 'NR % 4 == 1' > "$work/pairs.jsonl"
domain-router prepare "$work/pairs.jsonl" --hold-out source=NIHSeniorHealth,CDC,NHLBI --out "$work/profile-data" --overwrite
python "$models/medical_profile.py" "$work/profile-data" "$work/model"
rm -rf "$models/medical"
cp -r "$work/model" "$models/medical"
rm "$models/medical/report.html" "$models/medical/query_metrics.json"  # they quote or repeat the data
cat >> "$models/medical/README.md" <<'END'

## Data and licence

Trained on questions and answers of MedQuAD (Asma Ben Abacha and Dina Demner-Fushman, "A Question-Entailment Approach to Question
Answering", BMC Bioinformatics 2019, [github.com/abachaa/MedQuAD](https://github.com/abachaa/MedQuAD)), licensed under
[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/). The pairs were split at random, as in other work on these data, so `test` has
questions that are nearly equal to training questions. Mixed in were the training questions of RQE (physicians' questions with shorter
forms of them; Ben Abacha and Demner-Fushman, AMIA 2016; CC BY 4.0) and of MeQSum (consumers' long questions with summaries; Ben Abacha
and Demner-Fushman, ACL 2019; CC BY 4.0), and of `examples/data`, which were written for this project in the words that users would
choose. The dev queries of RQE and MeQSum bound the interpolation weight; their training queries were learnt from, so they are weak guards.
`medicationqa`, `finance10k` and `policyqa` were only used for evaluation: they hold the questions of MedicationQA and every 7th pair of
10-K and privacy policy questions, with whole answers. The adapter is adapted material under CC BY 4.0. The base model, all-MiniLM-L6-v2,
is under the Apache License 2.0.

Trained with seed 2, the one of three whose adapter was kept: at the same weight, the three are within 0.2 points on `test` and 0.4 on
`medicationqa` (`benchmarks/RESULTS.md`). Trained on a GPU, from base weights in half precision. The weight was chosen and
everything was measured with the published weights, on a CPU, encoding in bfloat16. Device, threads and seconds are those of training.

The classifier profile holds as many questions from `examples/data/medical.jsonl` and `models/medicines.txt`, which are about medicines
by name, as from MedQuAD, because MedQuAD's questions follow templates that no user speaks in, and name few medicines. It is that of the first
version of this model, so that what was measured of the domain classifier holds; the script makes one that differs a little, because
`prepare` splits the data differently now.

Made by `sh models/make_medical.sh DATA WORK benchmarks/adapters/lora-large-people-s2`. The model ranks passages. It gives no medical
advice.
END
