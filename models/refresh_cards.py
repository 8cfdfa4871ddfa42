"""Writes the generated part of every ready-made domain's card anew from its report; what people wrote below it stays.

python models/refresh_cards.py
"""

from pathlib import Path

from training.reporting.card import CARD, model_card
from training.reporting.report import REPORT, TrainingReport

WRITTEN_BY_HAND = "\n## Data and licence\n"

for report in sorted(Path(__file__).parent.glob(f"*/{REPORT}")):
    card = report.with_name(CARD)
    _, heading, rest = card.read_text(encoding="utf-8").partition(WRITTEN_BY_HAND)
    card.write_text(model_card(TrainingReport.load(report.parent)) + heading + rest, encoding="utf-8")
