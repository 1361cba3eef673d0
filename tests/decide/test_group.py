"""Which session an alert speaks of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config import AlertRoute
from sidecar.decide.group import Routed, route
from sidecar.model.incident import FailureKind
from sidecar.model.plan import Strategy
from sidecar.model.record import SkipReason

API = AlertRoute(
    {"alertname": "ApiDown", "env": "prod"}, "{{ labels.session }}", FailureKind.FROZEN, Strategy.RESPAWN_PANE
)
TEAM = AlertRoute({"alertname": "TeamDown"}, "{{labels.team}}-{{ labels.app }}")
FIXED = AlertRoute({"team": "ops"}, "console")
ANY = AlertRoute({}, "rest")
NOWHERE = Routed(skip=SkipReason.NO_SESSION)


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ({}, NOWHERE),
        ({"alertname": "Watchdog"}, NOWHERE),
        ({"session": ""}, NOWHERE),
        ({"failure": "crashed"}, NOWHERE),
        ({"session": "web"}, Routed("web")),
        ({"session": "web", "failure": ""}, Routed("web")),
        ({"session": "web", "failure": "crashed"}, Routed("web", FailureKind.CRASHED)),
        (
            {"session": "a b;\"$(x)'é", "failure": "frozen", "strategy": "respawn_pane"},
            Routed("a b;\"$(x)'é", FailureKind.FROZEN, Strategy.RESPAWN_PANE),
        ),
        ({"session": "web", "failure": "crashed", "strategy": ""}, Routed("web", FailureKind.CRASHED)),
        ({"session": "web", "failure": "bored"}, Routed("web", skip=SkipReason.UNKNOWN_FAILURE)),
        ({"session": "web", "failure": "Crashed"}, Routed("web", skip=SkipReason.UNKNOWN_FAILURE)),
        (
            {"session": "web", "failure": "crashed", "strategy": "magic"},
            Routed("web", FailureKind.CRASHED, skip=SkipReason.UNKNOWN_STRATEGY),
        ),
    ],
)
def test_labels_of_its_own(labels: dict[str, str], wanted: Routed) -> None:
    assert route(labels, ()) == wanted


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        (
            {"alertname": "ApiDown", "env": "prod", "session": "api"},
            Routed("api", FailureKind.FROZEN, Strategy.RESPAWN_PANE),
        ),
        ({"alertname": "ApiDown", "env": "test", "session": "api"}, Routed("api")),
        (
            {"alertname": "ApiDown", "env": "prod", "session": "api", "failure": "crashed"},
            Routed("api", FailureKind.CRASHED),
        ),
        ({"alertname": "ApiDown", "env": "prod"}, NOWHERE),
        ({"alertname": "TeamDown", "team": "a", "app": "b"}, Routed("a-b")),
        ({"alertname": "TeamDown", "team": "a"}, NOWHERE),
        ({"alertname": "TeamDown", "team": "a", "app": ""}, NOWHERE),
        ({"alertname": "TeamDown", "team": "{{ labels.app }}", "app": "b"}, Routed("{{ labels.app }}-b")),
        ({"alertname": "TeamDown", "team": "ops", "app": "b"}, Routed("ops-b")),
        ({"team": "ops"}, Routed("console")),
    ],
)
def test_routes_of_the_settings(labels: dict[str, str], wanted: Routed) -> None:
    assert route(labels, (API, TEAM, FIXED)) == wanted


def test_the_first_route_that_matches_is_used() -> None:
    assert route({"team": "ops"}, (ANY, FIXED)) == Routed("rest")
    assert route({"team": "ops"}, (FIXED, ANY)) == Routed("console")
    assert route({}, (FIXED, ANY)) == Routed("rest")
    assert route({}, (AlertRoute({}, ""), ANY)) == NOWHERE


WORDS = st.sampled_from(["", "web", "crashed", "respawn_pane", "ApiDown", "x"]) | st.text(max_size=5)
NAMES = st.sampled_from(["session", "failure", "strategy", "alertname", "team", "app", "env"])


@given(st.dictionaries(NAMES, WORDS), st.lists(st.sampled_from([API, TEAM, FIXED, ANY]), max_size=4))
def test_every_alert_leads_to_a_session_or_to_a_reason(
    labels: dict[str, str], routes: list[AlertRoute]
) -> None:
    routed = route(labels, routes)
    assert bool(routed.session) or routed.skip is SkipReason.NO_SESSION
