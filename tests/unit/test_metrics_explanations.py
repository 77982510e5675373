"""A query that Prometheus refuses is explained; one that it takes is looked at for what is odd.

The messages are Prometheus' own; tests/metrics asks a real one whether they still are.
"""

import pytest

from metrics.explanations import explain
from metrics.lints import lints
from metrics.ports import TooMuch, WrongQuery
from metrics.syntax import read, unclosed

WANTS_RANGE = (
    '1:6: parse error: expected type range vector in call to function "rate", got instant vector'
)
# The query with what is marked between “⟦” and “⟧”, Prometheus' message, and a part of ours.
REFUSED = [
    ("sum⟦(⟧rate(x[5m])⟦ ⟧", "1:16: parse error: unclosed left parenthesis", "“(” at column 4 is"),
    ("up\n+ sum⟦(⟧⟦ ⟧", "2:7: parse error: unclosed left parenthesis", "“(” at 2:6 is never"),
    ("up⟦{⟧a=\"b\"⟦ ⟧", "1:9: parse error: unexpected end of input inside braces", "“}” is"),
    ("up⟦[⟧5m⟦ ⟧", "1:6: parse error: unclosed left bracket", "a “]” is missing"),
    ("sum(up)⟦)⟧", "1:9: parse error: unexpected right parenthesis ')'", "never opened"),
    ("up⟦}⟧", "1:3: parse error: unexpected character: '}'", "never opened"),
    (
        "⟦raet⟧(x[5m])", '1:1: parse error: unknown function with name "raet"', "mean rate()",
    ),
    ("⟦zzzz⟧(x)", '1:1: parse error: unknown function with name "zzzz"', "no function zzzz()"),
    (
        "rate(⟦up⟧)",
        WANTS_RANGE,
        "as in rate(up[5m])",
    ),
    (
        "rate(⟦sum⟧(up))",
        WANTS_RANGE,
        "sum(rate(…[5m]))",
    ),
    (
        "sum(⟦up⟧[5m])",
        "1:5: parse error: expected type instant vector in aggregation expression, got range"
        " vector",
        "sum(rate(up[5m]))",
    ),
    (
        "⟦up⟧[5m] + 1",
        "1:1: parse error: binary expression must contain only scalar and instant vector types",
        "Operators calculate with one value",
    ),
    ("sum(up)⟦[⟧5m]", "1:8: parse error: ranges only allowed for vector selectors", "subquery"),
    (
        "topk(up, ⟦3⟧)",
        "1:10: parse error: expected type instant vector in aggregation expression, got scalar",
        "topk() wants series",
    ),
    (
        "a * on () b",
        "found duplicate series for the match group {} on the right hand-side of the operation:"
        " [{__name__=\"b\"}, {__name__=\"b\"}];many-to-many matching not allowed: matching labels"
        " must be unique on one side",
        "no label that tells them apart",
    ),
    (
        "a + on (service) group_left b",
        'found duplicate series for the match group {service="web"} on the right hand-side of the'
        " operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique",
        'For {service="web"} there is more than one series on the right side',
    ),
    (
        "a / on (job) b",
        "multiple matches for labels: many-to-one matching must be explicit"
        " (group_left/group_right)",
        "group_left",
    ),
    (
        "label_replace(a, …)", "vector cannot contain metrics with the same labelset",
        "the same labels",
    ),
    ("rate(up[⟦5⟧])", "1:9: parse error: missing unit character in duration", "30s, 5m, 1h"),
    ("rate(up[⟦5mm⟧])", '1:9: parse error: bad duration syntax: "5mm"', "30s, 5m, 1h"),
    ("up[⟦0s⟧]", "1:4: parse error: duration must be greater than 0", "no length of time"),
    (
        "up offset ⟦5⟧",
        '1:11: parse error: unexpected number "5" in offset, expected duration', "30s, 5m, 1h",
    ),
    ("⟦5up⟧", '1:1: parse error: bad number or duration syntax: "5"', "with a digit"),
    (
        "up{job=⟦web⟧}",
        '1:8: parse error: unexpected identifier "web" in label matching, expected string',
        'stands in quotes: "web"',
    ),
    (
        "up{job=⟦=⟧\"a\"}",
        '1:8: parse error: unexpected "=" in label matching, expected string', "=~ or !~",
    ),
    ("up{job=⟦\"⟧a}", "1:8: parse error: unterminated quoted string", "opened with a quote"),
    (
        "up{⟦job⟧=~\"(\"}",
        "1:4: parse error: error parsing regexp: missing closing ): `^(?:()$`", "missing closing )",
    ),
    ("up{a=⟦\"\\d\"⟧}", "1:6: parse error: unknown escape sequence U+0064 'd'", "twice"),
    (
        "⟦{⟧}", "1:1: parse error: vector selector must contain at least one non-empty matcher",
        "every series",
    ),
    ("up +⟦ ⟧", "1:5: parse error: unexpected end of input", "has to follow “+”"),
    ("up ⟦up⟧", '1:4: parse error: unexpected identifier "up"', "an operator or a comma"),
    ("up⟦=⟧1", '1:3: parse error: unexpected "="', "compared with =="),
    ("rate(x[5m]) ⟦by⟧ (a)", "1:13: parse error: unexpected <by>", "belongs to an aggregation"),
    (
        "sum by ⟦job⟧ (up)",
        '1:8: parse error: unexpected identifier "job" in grouping opts, expected "("',
        "stand in parentheses",
    ),
    (
        "⟦histogram_quantile⟧(x)",
        '1:1: parse error: expected 2 argument(s) in call to "histogram_quantile", got 1',
        "histogram_quantile(0.95, …)",
    ),
    (
        "⟦topk⟧(up)",
        "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2,"
        " got 1",
        "topk(5, …)",
    ),
    (
        "up[5m]",
        'invalid expression type "range vector" for range query, must be Scalar or instant Vector',
        "rate() or avg_over_time()",
    ),
    ("1 ⟦==⟧ 1", "1:3: parse error: comparisons between scalars must use BOOL modifier", "bool"),
    ("⟦“⟧up”", "1:1: parse error: unexpected character: '“'", "typographic quote"),
    ("\"é\" + ⟦$⟧", "1:8: parse error: unexpected character: '$'", "no “$”"),  # columns are bytes
]  # fmt: skip


@pytest.mark.parametrize(("marked", "said", "ours"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_mistake_is_shown_at_its_place_and_in_plain_words(
    marked: str, said: str, ours: str
) -> None:
    query = marked.replace("⟦ ⟧", "").replace("⟦", "").replace("⟧", "")
    place = said.split(":")[:2] if "parse error" in said else (0, 0)
    failure = WrongQuery(f'invalid parameter "query": {said}', *map(int, place))
    found = explain(query, failure)
    assert ours in found.words
    assert found.said == str(failure)
    shown = "".join(f"⟦{text}⟧" if mark else text for text, mark in found.pieces)
    assert shown == (marked if "parse error" in said else "")


def test_a_message_that_nobody_knows_is_shown_as_it_is() -> None:
    found = explain("up", WrongQuery("the moon is in the way"))
    assert (found.said, found.words, found.pieces) == ("the moon is in the way", "", ())


@pytest.mark.parametrize("line, column", [(1, 99), (7, 1), (2, 1), (1, 0)])
def test_a_place_outside_of_the_query_breaks_nothing(line: int, column: int) -> None:
    found = explain("up", WrongQuery("1:99: parse error: unexpected", line, column))
    assert "".join(text for text, _ in found.pieces).startswith("up")


@pytest.mark.parametrize(
    ("said", "ours"),
    [
        ("Prometheus refused: exceeded maximum resolution of 11,000 points", "11,000 points"),
        ("20,000 points of each series are more than Prometheus gives at once", "shorter range"),
        ("Prometheus refused: query timed out in expression evaluation.", "takes too long"),
        ("query processing would load too many samples into memory", "fewer series"),
    ],
)
def test_too_much_is_explained(said: str, ours: str) -> None:
    assert ours in explain("up", TooMuch(said)).words


ODD = [
    ("rate(celery_queue_length[5m])", "looks like a gauge"),
    ("sum(rate(node_memory_MemFree_bytes[5m]))", "looks like a gauge"),
    ("rate(sum(http_requests_total)[5m:])", "sum(rate(…[5m]))"),
    ("increase(max by (job) (x)[1h:1m])", "max(increase(…[5m]))"),
    ("http_requests_total", "rate(http_requests_total[5m])"),
    ("sum by (job) (http_requests_total{code=\"500\"}) / 2", "looks like a counter"),
    ('{__name__="http_requests_total"}', "looks like a counter"),
    ("histogram_quantile(0.9, sum(rate(x_bucket[5m])))", "write sum by (le) (…)"),
    ("histogram_quantile(0.9, sum by (job) (rate(x_bucket[5m])))", "write sum by (le, job) (…)"),
    ("histogram_quantile(0.9, sum(rate(x_bucket[5m])) by (job))", "write sum by (le, job) (…)"),
    ("histogram_quantile(0.9, sum without (le) (rate(x_bucket[5m])))", "drops it"),
]  # fmt: skip
FINE = (
    "up", "42", "sum(rate(http_requests_total[5m]))", "count(http_requests_total)",
    "histogram_quantile(0.95, rate(http_request_duration_seconds_bucket[5m]))",
    "histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m])))",
    "histogram_quantile(0.95, sum(rate(x_bucket[5m])) by (job, le))",
    "histogram_quantile(0.95, sum without (pod) (rate(x_bucket[5m])))",
    "histogram_quantile(0.95, sum(rate(native_seconds[5m])))",
    'avg(rate(container_cpu_usage_seconds_total{service="ai-agent"}[5m])) * 100',
    'sum(celery_queue_length{queue_name="inference"})', 'redis_cluster_state{job="redis"}',
    'label_replace(up, "a", "http_requests_total", "", "")', "# http_requests_total\nup",
)  # fmt: skip


@pytest.mark.parametrize(("query", "said"), ODD)
def test_what_is_odd_is_told(query: str, said: str) -> None:
    (told,) = lints(query)
    assert said in told


@pytest.mark.parametrize("query", FINE)
def test_what_is_fine_is_left_alone(query: str) -> None:
    assert lints(query) == []


def test_selectors_are_read_with_what_stands_around_them() -> None:
    query = 'sum by (a) (rate(x{b="c\\n",d!~`e\\d`}[5m] offset 1h)) / on (a) group_left (f) {"y.z"}'
    x, y = read(query).selectors
    assert (x.metric, x.range, [call.name for call in x.within]) == ("x", "5m", ["sum", "rate"])
    assert x.matchers == [("b", "=", "c\n"), ("d", "!~", "e\\d")]
    assert (y.metric, y.within) == ("y.z", ())


@pytest.mark.parametrize(
    "query", ["", "(", ")", "[", "]]", "{a", 'x{"', "by (", "sum by", "☃", "\0"]
)
def test_no_text_breaks_the_reading(query: str) -> None:
    read(query)
    lints(query)
    unclosed(query)
