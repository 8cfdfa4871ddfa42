"""Every change is told, signed, again and again until it is taken, and never by half."""

import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import update

from registry import InvalidNameError, NotRegisteredError, RegistryError, WebhookError, verify_webhook
from registry.aliasing.moves import move
from registry.storage.database import write
from registry.storage.tables import deliveries
from registry.webhooks import sending, signing
from registry.webhooks import webhooks as room
from tests.registry.samples import make_record, start_python, write_model

from .receiver import SLOW, receiving, wait_until

SECRET = "a shared secret"


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", SECRET)


@pytest.fixture
def one(registry, tmp_path):
    """A registry with one version and one that can be promoted."""
    for number in (1, 2):
        registry.publish(write_model(tmp_path / str(number), str(number)), make_record())
    return registry


def add(registry, receiver, **changes):
    return registry.webhooks.add(**{"name": "index", "url": receiver.url, "secret_variable": "HOOK_SECRET", **changes})


def events_of(receiver):
    return [json.loads(body) for _, body in receiver.came]


def make_due(registry):
    """Let the time until the next attempts pass."""
    past = datetime.now(timezone.utc) - timedelta(seconds=1)
    due = update(deliveries).where(deliveries.c.due.is_not(None)).values(due=past)
    write(registry._store.engine, lambda connection: connection.execute(due), counted=False)


def test_a_promotion_is_told_at_once_signed_and_says_that_vectors_must_be_made_again(one):
    with receiving() as receiver:
        add(one, receiver)
        one.promote("medical@2")
        wait_until(lambda: all(each.delivered for each in one.webhooks.deliveries()))
        for headers, body in receiver.came:
            assert verify_webhook(headers["X-Domain-Router-Signature"], body, SECRET)
            assert headers["X-Domain-Router-Event-Id"] == json.loads(body)["id"]
        events = {(each["event"], each["data"].get("alias")): each["data"] for each in events_of(receiver)}
    assert {("alias-moved", "champion"), ("vector-space-changed", None)} <= set(events)
    changed = events["vector-space-changed", None]
    assert (changed["domain"], changed["from"]["name"], changed["to"]["name"]) == ("medical", "medical@1", "medical@2")
    assert changed["dimension"] == 32 and "joint space" in changed["note"]
    assert all(each.delivered and not each.due for each in one.webhooks.deliveries())


def test_a_new_version_is_told(registry, tmp_path):
    with receiving() as receiver:
        registry.create()
        add(registry, receiver, events=["version-published"])
        registry.publish(write_model(tmp_path / "model", "1"), make_record())
        wait_until(lambda: receiver.came)
        (event,) = events_of(receiver)
    assert event["event"] == "version-published" and event["data"]["version"]["name"] == "medical@1"


def test_the_same_files_promoted_again_do_not_change_the_space(registry, tmp_path):
    for _ in range(2):
        registry.publish(write_model(tmp_path / "model", "1"), make_record())
    with receiving() as receiver:
        add(registry, receiver, events=["vector-space-changed"])
        registry.promote("medical@2")
    assert registry.webhooks.deliveries() == [] and not receiver.came


def test_a_change_that_is_undone_is_not_told(one, monkeypatch):
    with receiving() as receiver:
        add(one, receiver)

        def move_and_fail(*details):
            move(*details)
            raise RegistryError("no")

        monkeypatch.setattr("registry.gates.promotion.move", move_and_fail)
        with pytest.raises(RegistryError):
            one.promote("medical@2")
        assert one.webhooks.deliveries() == []
        assert one.champions()[0].version == 1


def test_failures_are_retried_until_it_is_taken_with_the_same_id(one):
    with receiving(500, 503, 301, 204) as receiver:
        add(one, receiver, events=["alias-moved"])
        one.promote("medical@2")
        wait_until(lambda: len(receiver.came) >= 1)
        for _ in range(6):
            make_due(one)
            one.webhooks.deliver()
        first = [each for each in one.webhooks.deliveries() if each.delivered]
        assert first and all(each.due is None for each in one.webhooks.deliveries())
        ids = [json.loads(body)["id"] for _, body in receiver.came]
        assert max(ids.count(each) for each in ids) >= 2
        assert "/elsewhere" not in str(receiver.came)
        assert max(each.attempts for each in one.webhooks.deliveries()) >= 2


def test_a_receiver_that_is_not_there_yet_does_not_fail_the_change(one):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    one.webhooks.add("index", f"http://127.0.0.1:{port}/", "HOOK_SECRET", ["vector-space-changed"])
    assert one.promote("medical@2").version == 2
    (waiting,) = one.webhooks.deliveries()
    assert waiting.due > datetime.now(timezone.utc) and "ConnectError" in waiting.outcome
    assert one.webhooks.deliver() == sending.Sent()  # it is not due yet
    with receiving(port=port) as receiver:
        make_due(one)
        assert one.webhooks.deliver().delivered == 1
        assert len(receiver.came) == 1


def test_a_receiver_that_does_not_answer_holds_up_a_change_for_a_limited_time(one, monkeypatch):
    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(room.Webhooks.deliver_new, "__defaults__", (0.3,))
    with receiving(SLOW, 204) as receiver:
        add(one, receiver, events=["vector-space-changed"])
        started = time.monotonic()
        one.promote("medical@2")
        assert time.monotonic() - started < 1.0
        wait_until(lambda: "Timeout" in (one.webhooks.deliveries()[0].outcome or ""))
        make_due(one)
        assert one.webhooks.deliver().delivered == 1


def test_after_many_failures_a_delivery_is_given_up_and_stays_in_the_log(one, monkeypatch):
    monkeypatch.setattr(sending, "TRIES", 3)
    with receiving(500) as receiver:
        add(one, receiver, events=["vector-space-changed"])
        one.promote("medical@2")
        wait_until(lambda: one.webhooks.deliveries()[0].attempts == 1 and receiver.came)
        for _ in range(5):
            make_due(one)
            one.webhooks.deliver()
        (given_up,) = one.webhooks.deliveries()
        assert given_up.attempts == 3 and given_up.due is None and given_up.delivered is None
        assert given_up.outcome.startswith("given up: status 500")
        assert len(receiver.came) == 3


def test_what_is_being_sent_by_another_is_not_sent_twice(one):
    with receiving() as receiver:
        one.webhooks.add("index", receiver.url, "LATER", ["vector-space-changed"])
        one.promote("medical@2")
        os.environ["LATER"] = SECRET
        try:
            with ThreadPoolExecutor(8) as pool:
                sent = list(pool.map(lambda _: one.webhooks.deliver(), range(8)))
        finally:
            os.environ.pop("LATER")
        assert sum(each.delivered for each in sent) == 1 and len(receiver.came) == 1


def test_without_the_secret_nothing_is_sent_and_nothing_is_lost(one, monkeypatch):
    monkeypatch.delenv("HOOK_SECRET")
    with receiving() as receiver:
        add(one, receiver, events=["vector-space-changed"])
        one.promote("medical@2")
        assert one.webhooks.deliver().without_secret == ("HOOK_SECRET",)
        assert not receiver.came and one.webhooks.deliveries()[0].attempts == 0
        monkeypatch.setenv("HOOK_SECRET", SECRET)
        assert one.webhooks.deliver().delivered == 1


def test_deliveries_do_not_look_like_changes_to_readers(one):
    with receiving() as receiver:
        add(one, receiver, events=["vector-space-changed"])
        before = one._store.generation()
        one.promote("medical@2")
        wait_until(lambda: one.webhooks.deliveries()[0].delivered)
        assert one._store.generation() == before + 1


def test_a_webhook_can_be_tried(one):
    with receiving(204, 500) as receiver:
        add(one, receiver)
        assert one.webhooks.test("index").delivered
        failed = one.webhooks.test("index")
        assert not failed.delivered and failed.due is None and "500" in failed.outcome
        assert [each["event"] for each in events_of(receiver)] == ["test", "test"]


def test_a_removed_webhook_is_told_nothing_but_stays_in_the_log(one, monkeypatch):
    monkeypatch.delenv("HOOK_SECRET")
    with receiving() as receiver:
        add(one, receiver, events=["vector-space-changed"])
        one.promote("medical@2")
        one.webhooks.remove("index")
        assert one.webhooks.all() == []
        monkeypatch.setenv("HOOK_SECRET", SECRET)
        make_due(one)
        assert one.webhooks.deliver() == sending.Sent() and not receiver.came
        assert "removed" in one.webhooks.deliveries()[0].outcome
        with pytest.raises(NotRegisteredError):
            one.webhooks.remove("index")
        with pytest.raises(NotRegisteredError):
            one.webhooks.test("index")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "example.com",
        "http://",
        "http://user:password@example.com/",
        "http://example.com/#part",
        "http://example.com/\nHost: other",
        "http://example.com:99999/",
        "http://[::1/",
        "javascript:alert(1)",
        f"http://example.com/{'a' * 3000}",
    ],
)
def test_urls_that_are_not_plain_http_are_refused_without_showing_them(registry, url):
    registry.create()
    with pytest.raises(WebhookError) as error:
        registry.webhooks.add("index", url, "HOOK_SECRET")
    assert "password" not in str(error.value)
    assert registry.webhooks.all() == []


def test_other_arguments_are_checked(registry):
    registry.create()
    registry.webhooks.add("index", "https://example.com/hook?x=1", "HOOK_SECRET")
    for changes, error in (
        ({"name": "../x"}, InvalidNameError),
        ({"name": "index"}, WebhookError),
        ({"events": []}, WebhookError),
        ({"events": ["all"]}, WebhookError),
        ({"secret_variable": "a secret"}, WebhookError),
    ):
        with pytest.raises(error):
            registry.webhooks.add(**{"name": "b", "url": "https://example.com", "secret_variable": "S", **changes})
    assert [each.name for each in registry.webhooks.all()] == ["index"]


def test_the_secret_is_stored_nowhere(one):
    with receiving() as receiver:
        add(one, receiver)
        one.promote("medical@2")
        wait_until(lambda: all(each.delivered for each in one.webhooks.deliveries()))
        told = f"{one.webhooks.all()} {one.webhooks.deliveries()}"
    assert SECRET not in told


def test_signatures_are_those_of_the_secret_the_body_and_the_time():
    header = signing.sign(b"body", SECRET)
    assert verify_webhook(header, b"body", SECRET)
    assert verify_webhook(f"{header},v1={'0' * 64}", b"body", SECRET)  # while a secret is being changed
    for broken in (
        verify_webhook(header, b"bodY", SECRET),
        verify_webhook(header, b"body", "another"),
        verify_webhook(header, b"body", ""),
        verify_webhook(header.replace("t=", "t=1"), b"body", SECRET),
        verify_webhook(header.replace("v1=", "v0="), b"body", SECRET),
        verify_webhook(f"t=1,{header}", b"body", SECRET),
        verify_webhook("", b"body", SECRET),
        verify_webhook("t=²,v1=ä", b"body", SECRET),
        verify_webhook(signing.sign(b"body", SECRET, int(time.time()) - 301), b"body", SECRET),
        verify_webhook(signing.sign(b"body", SECRET, int(time.time()) + 301), b"body", SECRET),
    ):
        assert not broken


def test_the_pause_doubles_has_jitter_and_an_upper_bound():
    for attempts in range(1, 40):
        shortest, longest = sending.pause(attempts, lambda: 0.0), sending.pause(attempts, lambda: 1.0)
        assert longest == 3 * shortest <= 1.5 * 7200
    assert sending.pause(3, lambda: 0.5) == 4 * sending.pause(1, lambda: 0.5)


SEND = """
import sys
from registry import Registry
registry = Registry.open(sys.argv[1])
print("ready", flush=True)
registry.webhooks.deliver()
"""


@pytest.mark.slow
def test_a_sender_that_is_killed_while_it_sends_loses_nothing(one, registry_url, monkeypatch):
    monkeypatch.setattr(sending, "_CLAIMED", timedelta(seconds=0))
    with receiving(SLOW, 204) as receiver:
        one.webhooks.add("index", receiver.url, "OTHER", ["vector-space-changed"])
        one.promote("medical@2")
        process = start_python(SEND, registry_url, OTHER=SECRET)
        wait_until(lambda: receiver.came, 30)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        monkeypatch.setenv("OTHER", SECRET)
        make_due(one)
        assert one.webhooks.deliver().delivered == 1
        assert len({json.loads(body)["id"] for _, body in receiver.came}) == 1


def test_a_slow_receiver_holds_up_no_other(one):
    with receiving(SLOW) as slow, receiving() as quick:
        one.webhooks.add("slow", slow.url, "HOOK_SECRET", ["vector-space-changed"])
        one.webhooks.add("quick", quick.url, "HOOK_SECRET", ["vector-space-changed"])
        promoting = threading.Thread(target=one.promote, args=("medical@2",))
        promoting.start()
        wait_until(lambda: quick.came, sending.TIMEOUT_SECONDS - 1)
        slow.closed.set()  # it hangs up
        promoting.join()
        wait_until(lambda: all(each.outcome != "is being sent" for each in one.webhooks.deliveries()))
