"""Routes and labelled queries for the adapters, and an encoder of another router."""

from semantic_router import Route as HostRoute
from semantic_router.encoders import DenseEncoder

from router_plugin import Settings
from router_plugin.hosts.semantic_router import DOMAIN

SURE = Settings(strategy="two_stage", min_confidence=0, target_precision=0)
RENT = "can my landlord keep the deposit"
KNEE = "my knee swells up after running"
PRICE = "is a price tag in a shop window something they have to stick to"
LUMP = "found a lump at the front of my throat, is it usually harmless?"
"""Queries that the classifier knows to be legal and medical without knowing routes."""
LABELLED = [
    (RENT, "rent"),
    (KNEE, "symptoms"),
    ("let me talk to a real person", "human"),
    ("who painted this", "human"),
    ("does it rain", "rent"),
    ("two eggs please", "symptoms"),
]


def host_routes():
    return [
        HostRoute(name="rent", utterances=[RENT, "the heating in my flat is broken"], metadata={DOMAIN: "legal"}),
        HostRoute(name="symptoms", utterances=[KNEE, "my chest hurts"], metadata={DOMAIN: "medical"}),
        HostRoute(name="human", utterances=["let me talk to a real person"]),
    ]


class Letters(DenseEncoder):
    """An encoder of another router: counts of letters."""

    name: str = "letters"

    def __call__(self, docs):
        return [[float(doc.lower().count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz"] for doc in docs]


def known_routes():
    """Routes with utterances that the classifier knows, and one that belongs to no domain."""
    return [
        HostRoute(name="shops", utterances=[PRICE, "the seller lied to me"], metadata={DOMAIN: "legal"}),
        HostRoute(name="symptoms", utterances=[LUMP, "my chest hurts"], metadata={DOMAIN: "medical"}),
        HostRoute(name="human", utterances=["let me talk to a real person"]),
    ]


KNOWN = [
    (PRICE, "shops"),
    (LUMP, "symptoms"),
    ("let me talk to a real person", "human"),
    ("if I post my reply when does it count", "human"),
    ("why did my bond lose value the moment interest rates went up", "shops"),
    ("does it rain", "symptoms"),
]
