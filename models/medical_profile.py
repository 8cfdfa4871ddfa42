"""Makes the classifier profile of models/medical: python models/medical_profile.py PREPARED-MEDQUAD MODEL-FOLDER

MedQuAD's questions follow templates, and real users do not speak in templates. It names few medicines, either. So half
of the profile's queries are the questions of examples/data/medical.jsonl and of medicines.txt, which is about medicines
by name.
"""

import sys
from functools import partial
from pathlib import Path

from registry import resolve_base_model
from registry.classifier_profiles.profiles import MAX_QUERIES, Profile
from training import read_pairs, read_prepared
from training.retrieval.encoding import load_model

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples" / "data" / "medical.jsonl"

data, folder = read_prepared(Path(sys.argv[1])), Path(sys.argv[2])
asked = [pair.question for pair in read_pairs(str(EXAMPLES)).pairs]
asked += (HERE / "medicines.txt").read_text(encoding="utf-8").splitlines()
templates = [data.queries[name] for name in data.qrels["train"]]
queries = [*asked, *templates[:: len(templates) // len(asked)]][:MAX_QUERIES]
base = resolve_base_model()
encode = partial(load_model(base.path).encode_query, normalize_embeddings=True)
digest = base.record().weights_sha256
Profile.from_queries(queries, encode, digest, documents=data.corpus.values()).save(folder)
