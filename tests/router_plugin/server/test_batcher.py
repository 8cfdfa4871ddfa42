"""Texts of many requests share batches; what is urgent goes first, and what nobody waits for is not done."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_plugin.server.batcher import BULK, Batcher, Work
from router_plugin.server.errors import OverloadedError


class Recorded:
    """Answers texts in upper case and keeps the batches; waits before the first until it is told to go on."""

    def __init__(self, wait=False):
        self.batches, self.go_on = [], threading.Event()
        if not wait:
            self.go_on.set()

    def __call__(self, texts):
        self.batches.append(list(texts))
        self.go_on.wait(10)
        return [text.upper() for text in texts]

    def work(self, key="key"):
        return Work("test", key, self)


def batcher(threads=1, max_tokens=512, max_waiting=5000):
    return Batcher(threads, max_tokens, max_waiting)


def test_a_burst_of_a_thousand_texts_takes_a_few_dozen_batches():
    done, texts = Recorded(), [f"text {number}" for number in range(1000)]

    async def burst():
        shared = batcher()
        found = await asyncio.gather(*(shared.run(done.work(), [text]) for text in texts))
        assert found == [[text.upper()] for text in texts]

    asyncio.run(burst())
    assert len(done.batches) <= 30


@given(st.lists(st.lists(st.text(max_size=40), max_size=20), max_size=20), st.integers(1, 60))
def test_every_request_gets_its_own_answers_in_order(requests, max_tokens):
    done = Recorded()

    async def ask():
        shared = batcher(2, max_tokens)
        found = await asyncio.gather(*(shared.run(done.work(len(texts) % 3), texts) for texts in requests))
        assert found == [[text.upper() for text in texts] for texts in requests]
        assert shared.waiting == 0

    asyncio.run(ask())


def test_batches_have_at_most_the_tokens_that_are_allowed():
    done = Recorded()
    asyncio.run(batcher(max_tokens=100).run(done.work(), ["x" * 100] * 20))
    assert {len(batch) for batch in done.batches} <= {1, 2, 3}


def test_interactive_texts_go_before_bulk():
    done = Recorded(wait=True)

    async def ask():
        shared = batcher()
        first = asyncio.ensure_future(shared.run(done.work("first"), ["first"]))
        await asyncio.sleep(0.05)
        bulk = asyncio.ensure_future(shared.run(done.work("bulk"), ["bulk"] * (BULK + 1)))
        urgent = asyncio.ensure_future(shared.run(done.work("urgent"), ["urgent"]))
        await asyncio.sleep(0)
        done.go_on.set()
        await asyncio.gather(first, bulk, urgent)

    asyncio.run(ask())
    assert [batch[0] for batch in done.batches] == ["first", "urgent", "bulk"]


def test_cancelled_texts_are_never_answered():
    done = Recorded(wait=True)

    async def ask():
        shared = batcher()
        first = asyncio.ensure_future(shared.run(done.work("first"), ["first"]))
        await asyncio.sleep(0.05)
        given_up = asyncio.ensure_future(shared.run(done.work(), ["given up"]))
        kept = asyncio.ensure_future(shared.run(done.work(), ["kept"]))
        await asyncio.sleep(0.05)
        given_up.cancel()
        await asyncio.sleep(0)
        done.go_on.set()
        await asyncio.gather(first, kept)

    asyncio.run(ask())
    assert done.batches == [["first"], ["kept"]]


def test_a_text_that_fails_does_not_spoil_its_batch():
    def answer(texts):
        if "bad" in texts:
            raise ValueError("bad text")
        return texts

    async def ask():
        shared, work = batcher(), Work("test", "key", answer)
        found = await asyncio.gather(*(shared.run(work, [text]) for text in ("a", "bad", "b")), return_exceptions=True)
        assert (found[0], found[2]) == (["a"], ["b"]) and isinstance(found[1], ValueError)

    asyncio.run(ask())


def test_texts_are_refused_where_too_many_wait():
    done = Recorded(wait=True)

    async def ask():
        shared = batcher(max_waiting=3)
        begun = []
        for number in range(4):  # one is being answered, three wait
            begun.append(asyncio.ensure_future(shared.run(done.work(number), [str(number)])))
            await asyncio.sleep(0.02)
        with pytest.raises(OverloadedError, match="try again in 1 s") as refused:
            await shared.run(done.work(), ["one too many"])
        assert refused.value.retry_after == 1
        done.go_on.set()
        await asyncio.gather(*begun)
        assert await shared.run(done.work(), ["now"]) == ["NOW"]

    asyncio.run(ask())
