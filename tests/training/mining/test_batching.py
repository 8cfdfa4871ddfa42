"""Batches: no example is lost, and no document is a negative of a query that it answers."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from training.mining.batching import Example, fill_batches

DOCUMENTS = 12

queries = st.lists(st.sets(st.integers(0, DOCUMENTS - 1), min_size=1, max_size=4), min_size=1, max_size=8)


@st.composite
def problems(draw):
    """Queries with the groups that answer them, and examples of them."""
    answers = draw(queries)
    groups = draw(st.lists(st.integers(0, 5), min_size=DOCUMENTS, max_size=DOCUMENTS))
    answers = [{groups[document] for document in wanted} for wanted in answers]
    examples = []
    for query in draw(st.lists(st.integers(0, len(answers) - 1), max_size=40)):
        right = draw(st.sampled_from([d for d in range(DOCUMENTS) if groups[d] in answers[query]]))
        wrong = [d for d in range(DOCUMENTS) if groups[d] not in answers[query]]
        negatives = draw(st.lists(st.sampled_from(wrong), max_size=2)) if wrong else []
        examples.append(Example(query, (right, *negatives)))
    return examples, answers, groups


@given(problems(), st.integers(1, 6))
def test_no_example_of_a_batch_answers_another_query_of_it(problem, size):
    examples, answers, groups = problem
    batches = fill_batches(examples, answers, groups, size)
    assert not Counter(example for batch in batches for example in batch) - Counter(examples)
    assert len(batches) <= -(-len(examples) // size)
    for batch in batches:
        assert 1 <= len(batch) <= size
        for example in batch:
            others = {groups[d] for other in batch if other is not example for d in other.documents}
            assert others.isdisjoint(answers[example.query])


def test_examples_keep_their_order_if_none_has_to_wait():
    examples = [Example(query, (query,)) for query in range(10)]
    batches = fill_batches(examples, [{query} for query in range(10)], range(10), 4)
    assert batches == [examples[:4], examples[4:8], examples[8:]]


@given(st.integers(1, 40), st.integers(1, 7))
def test_no_example_is_left_out_if_no_answer_fits_two_queries(count, size):
    examples = [Example(query, (query,)) for query in range(count)]
    batches = fill_batches(examples, [{query} for query in range(count)], range(count), size)
    assert [example for batch in batches for example in batch] == examples


def test_nearly_equal_answers_add_no_batches():
    examples = [Example(query, (query,)) for query in range(8)]
    batches = fill_batches(examples, [{0}] * 6 + [{6}, {7}], [0] * 6 + [6, 7], 4)
    assert batches == [[examples[0], examples[6], examples[7]], [examples[1]]]


def test_a_repeated_query_does_not_fill_a_batch_with_itself():
    examples = [Example(0, (0,)), Example(0, (1,)), Example(1, (2,)), Example(2, (3,))]
    assert fill_batches(examples, [{0, 1}, {2}, {3}], range(4), 3) == [[examples[0], *examples[2:]], [examples[1]]]
