"""Improving routes by logs of which it is known what should come out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from router_plugin import (
    DomainRouter,
    ImprovementError,
    ImproveOptions,
    Proposal,
    Route,
    ServedDomains,
    Settings,
    UnmodelledDomain,
    improve_routes,
    load_domains,
)
from router_plugin.improving.new_domains import write_new_domains
from router_plugin.improving.structure import find_merges
from training.sources.logs import JudgedText

SINGLE = Settings(strategy="single", target_precision=0)
PLACES = ("Oslo", "Lima", "Cairo", "Paris", "Delhi", "Quito", "Osaka", "Turin", "Accra", "Perth", "Malmo", "Hanoi")
DAYS = ("Monday", "Tuesday", "Friday", "Sunday")
WEATHER = [f"will it rain in {place} on {day}" for place in PLACES for day in DAYS]
LOANS = [f"interest of a home loan from the bank of {place} this {day}" for place in PLACES for day in DAYS]
ROUTES = [
    Route(name="weather", utterances=("degrees Celsius outside",)),
    Route(name="loans", utterances=("interest of a home loan",)),
    Route(name="trains", utterances=("will it leave in Rome on Saturday",)),
]
TRAINS = [f"will the train leave in {place} on {day}" for place in PLACES for day in DAYS]


@pytest.fixture
def single(served_domains: ServedDomains) -> DomainRouter:
    return DomainRouter.over(served_domains, ROUTES, SINGLE)


def judged(label: str | None, texts: list[str], chosen: str = "") -> list[JudgedText]:
    corrections = ((chosen, label),) if chosen and label else ()
    return [JudgedText(text, label, frozenset(), corrections) for text in texts]


def known_log() -> list[JudgedText]:
    """Questions about the weather, which go to the trains; one more utterance makes them right."""
    return judged("weather", WEATHER) + judged("loans", LOANS) + judged("trains", TRAINS)


@pytest.fixture
def proposal(single: DomainRouter) -> Proposal:
    return improve_routes(single, known_log())


def test_utterances_are_proposed_that_make_held_out_queries_right(single: DomainRouter, proposal: Proposal) -> None:
    today, *_ = proposal.figures
    best = next(each for each in proposal.figures if each.variant == proposal.variant)
    assert "weather" in {each.route for each in proposal.utterances}
    assert all(each.text in WEATHER for each in proposal.utterances if each.route == "weather")
    assert all(each.mends > each.breaks for each in proposal.utterances)
    assert best.right > today.right and best.mended - best.broken == best.right - today.right
    assert best.queries == len(known_log()) and best.better
    before = sum(each.route == "weather" for each in single.route_many(WEATHER))
    single.set_routes(proposal.routes)
    assert sum(each.route == "weather" for each in single.route_many(WEATHER)) > before


def test_the_same_log_gives_the_same_proposal(single: DomainRouter, proposal: Proposal) -> None:
    assert improve_routes(single, known_log()) == proposal


def test_proposed_utterances_are_bounded_and_new(single: DomainRouter) -> None:
    log = [*known_log(), *judged("weather", ["Degrees  celsius, outside!"])]
    found = improve_routes(single, log, ImproveOptions(per_route=1))
    assert max(Counter(each.route for each in found.utterances).values()) == 1
    assert "Degrees  celsius, outside!" not in {each.text for each in found.utterances}
    assert any("are utterances" in note for note in found.notes)


@pytest.mark.parametrize("seed", range(5))
def test_random_feedback_proposes_nothing(single: DomainRouter, seed: int) -> None:
    draw = np.random.default_rng(seed)
    texts = draw.permutation([*WEATHER, *LOANS, *TRAINS]).tolist()
    names = [*(route.name for route in ROUTES), ""]
    found = improve_routes(single, [JudgedText(text, names[draw.integers(4)]) for text in texts])
    assert found.variant is None and found.routes == single.routes
    assert not (found.utterances or found.thresholds or found.merges)
    assert any("nothing can be concluded" in note for note in found.notes)


def test_a_few_queries_conclude_nothing(single: DomainRouter) -> None:
    found = improve_routes(single, known_log()[:10])
    assert found.figures == [] and found.routes == single.routes
    assert found.notes == [
        "nothing can be concluded from 10 different queries with feedback: expected at least 20, 4 for each of 5 parts "
        "of a cross-validation"
    ]


def test_thresholds_keep_out_what_users_say_is_out_of_scope(single: DomainRouter) -> None:
    outside = [
        f"?? {sing} !! ;; {fish}"
        for sing in ("sing", "jump", "hum", "fly", "dig", "nap")
        for fish in ("cod", "eel", "carp", "ray", "pike", "bass")
    ]
    found = improve_routes(single, [*known_log(), *judged("", outside)])
    today, *others = found.figures
    best = next(each for each in others if each.variant == found.variant)
    assert best.out_of_scope == len(outside) and best.out_of_scope_right > today.out_of_scope_right
    assert {each.route for each in found.thresholds} <= {route.name for route in ROUTES} and found.thresholds


def test_a_rejected_route_is_wrong_though_no_other_is_known(single: DomainRouter) -> None:
    rejecting = [JudgedText(text, None, frozenset({"trains"})) for text in TRAINS]
    without = improve_routes(single, judged("weather", WEATHER))
    found = improve_routes(single, [*judged("weather", WEATHER), *rejecting])
    assert found.figures[0].queries == without.figures[0].queries + len(TRAINS)
    assert found.figures[0].in_scope == without.figures[0].in_scope == len(WEATHER)
    assert found.figures[0].right < found.figures[0].queries


def test_a_route_of_two_kinds_of_queries_is_split(served_domains: ServedDomains) -> None:
    routes = [Route(name="both", utterances=("rain", "loan")), Route(name="trains", utterances=("trains",))]
    router = DomainRouter.over(served_domains, routes, SINGLE)
    split, *_ = improve_routes(router, [*judged("both", [*WEATHER, *LOANS]), *judged("trains", TRAINS)]).splits
    assert split.route == "both" and [half.queries for half in split.halves] == [len(WEATHER), len(LOANS)]
    terms = sorted(split.halves, key=lambda half: "rain" in half.terms)
    assert "loan" in terms[0].terms and "rain" in terms[1].terms


def test_a_route_of_various_queries_is_not_split(single: DomainRouter) -> None:
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice([*PLACES, *DAYS], 4, replace=False)) for _ in range(60)]
    assert improve_routes(single, [*judged("loans", texts), *judged("trains", TRAINS[:8])]).splits == []


def test_routes_are_merged_that_users_mix_up_both_ways(served_domains: ServedDomains) -> None:
    names = ("one", "other")
    routes = [Route(name=name, utterances=(f"query {name}",)) for name in (*names, "loans", "trains")]
    router = DomainRouter.over(served_domains, routes, SINGLE)
    draw = np.random.default_rng(0)
    log = []
    for number, text in enumerate(WEATHER):
        right = int(draw.integers(2))
        log += judged(names[right], [text], names[1 - right] if number % 3 == 0 else "")
    log += judged("loans", LOANS[:12], "trains") + judged("loans", LOANS[12:]) + judged("trains", TRAINS)
    (merge,) = improve_routes(router, log).merges
    assert merge.routes == names and min(merge.corrected) >= 3 and sum(merge.queries) == len(WEATHER)
    assert max(merge.p_values) < 0.05 and merge.told_apart < 0.75


def test_routes_that_only_the_router_mixes_up_are_not_merged(served_domains: ServedDomains) -> None:
    routes = [Route(name=name, utterances=(f"query {name}",)) for name in ("weather", "loans", "trains", "trams")]
    router = DomainRouter.over(served_domains, routes, SINGLE)
    log = judged("weather", WEATHER[::3], "loans") + judged("loans", LOANS[::3], "weather")
    log += judged("trains", TRAINS[:12], "trams") + judged("trains", TRAINS[12:])
    assert improve_routes(router, log).merges == []


def test_corrections_one_way_or_by_chance_merge_nothing(single: DomainRouter) -> None:
    names = [route.name for route in ROUTES]
    one_way = Counter({("weather", "trains"): 30, ("trains", "loans"): 3, ("loans", "weather"): 3})
    by_chance = Counter({(one, other): 10 for one in names for other in names if one != other})
    from router_plugin.improving.judged import read_log
    from router_plugin.improving.simulation import Simulation

    read = read_log(known_log(), ROUTES, ImproveOptions())
    simulation = Simulation(single.state, read.judged.texts)
    for corrections in (one_way, by_chance):
        assert find_merges(simulation, read.judged, corrections, Counter(dict.fromkeys(names, 40))) == []


@pytest.mark.parametrize("ending", [".yaml", ".jsonl"])
def test_queries_that_no_domain_claims_start_a_domain_that_can_be_served(
    served_domains: ServedDomains, served: Path, tmp_path: Path, ending: str
) -> None:
    router = DomainRouter.over(served_domains, ROUTES, SINGLE.replace(threshold=0.999))
    found = improve_routes(router, [*judged("trains", TRAINS), *judged("", WEATHER), *judged(None, LOANS)])
    assert found.new_domains and {text for each in found.new_domains for text in each.queries} <= {*WEATHER, *LOANS}
    write_new_domains(found.new_domains, tmp_path / f"new{ending}")
    loaded = load_domains(tmp_path / f"new{ending}")
    assert loaded == [UnmodelledDomain(name=each.name, queries=tuple(each.queries)) for each in found.new_domains]
    name = loaded[0].name
    routes = [Route(name="start", domain=name, utterances=loaded[0].queries[:3])]
    with DomainRouter(routes, str(served), extra_domains=tmp_path / f"new{ending}", settings=SINGLE) as new:
        assert name in new.domains


def test_a_log_of_other_routes_is_refused(single: DomainRouter) -> None:
    with pytest.raises(ImprovementError, match="no right route of the log is among the routes: the log has pears"):
        improve_routes(single, judged("pears", WEATHER))
    found = improve_routes(single, [*judged("pears", WEATHER[:3]), *known_log()[3:]])
    assert any(note == "3 texts are left out, whose right route is unknown: pears" for note in found.notes)


def test_of_a_long_log_a_sample_is_used(single: DomainRouter) -> None:
    found = improve_routes(single, known_log(), ImproveOptions(max_queries=60))
    assert found.figures[0].queries == 60
    assert f"of {len(known_log())} queries, a sample of 60 is used" in found.notes
