"""What is wrong with a query that Prometheus refuses: its own words, the place, and plain words.

The messages are those of Prometheus 2.42 to 3; one that is not known is shown as it is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from metrics.ports import MetricsError, WrongQuery
from metrics.syntax import AGGREGATIONS, FUNCTIONS, Token, read, tokens, unclosed

_BEFORE = re.compile(r'^(invalid parameter "query": )?(\d+:\d+: )?(parse error: )?')


@dataclass(frozen=True, slots=True)
class Explanation:
    """`said` is Prometheus' own message. `pieces` are the query's, each marked or not."""

    said: str
    words: str = ""
    line: int = 0  # from 1; 0: it did not say
    column: int = 0
    pieces: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """The query, and the offset where Prometheus stopped; -1: it did not say."""

    query: str
    at: int

    @property
    def token(self) -> Token | None:
        return next((t for t in tokens(self.query) if t.start <= self.at < t.end), None)

    @property
    def before(self) -> Token | None:
        return next((t for t in reversed(tokens(self.query)) if t.end <= self.at), None)

    @property
    def call(self) -> str:
        """The innermost function or aggregation around the place."""
        calls = [c for c in read(self.query).calls if c.start < self.at]
        around = [c for c in calls if not c.end or c.end > self.at]
        return around[-1].name if around else ""


def explain(query: str, failure: MetricsError) -> Explanation:
    said = str(failure)
    line, column = (failure.line, failure.column) if isinstance(failure, WrongQuery) else (0, 0)
    place = _Place(query, _offset(query, line, column) if line else -1)
    core = _BEFORE.sub("", said)
    words = next((make(m, place) for p, make in _KINDS if (m := re.search(p, core))), "")
    return Explanation(said, words, line, column, _pieces(place, core) if line else ())


def _offset(query: str, line: int, column: int) -> int:
    """Prometheus counts bytes of UTF-8 within a line."""
    lines = query.split("\n")[:line]
    within = lines[-1].encode()[: column - 1].decode(errors="ignore") if lines else ""
    return sum(len(one) + 1 for one in lines[:-1]) + len(within)


def _pieces(place: _Place, core: str) -> tuple[tuple[str, bool], ...]:
    """The query cut at what is marked: where Prometheus stopped, and a bracket that stays open."""
    marks = [_marked(place)]
    opened = unclosed(place.query)
    if opened and ("unclosed" in core or "end of input" in core):
        marks = [(opened.start, opened.end), (place.at, place.at + 1)]
    pieces, done = [], 0
    for start, end in sorted(set(marks)):
        pieces += [(place.query[done:start], False), (place.query[start:end] or " ", True)]
        done = end
    return tuple(piece for piece in (*pieces, (place.query[done:], False)) if piece[0])


def _marked(place: _Place) -> tuple[int, int]:
    if place.token:
        return place.at, place.token.end
    if place.query[place.at - 1 : place.at] in (")", "]"):  # of these it tells where they end
        return place.at - 1, place.at
    return place.at, min(place.at + 1, len(place.query))


def _where(place: _Place, offset: int) -> str:
    before = place.query[:offset]
    line, column = before.count("\n") + 1, offset - before.rfind("\n")
    return f"at {line}:{column}" if "\n" in place.query else f"at column {column}"


# --- The usual mistakes, in plain words ----------------------------------------------------------

_Match = re.Match[str]


def _unclosed(found: _Match, place: _Place) -> str:
    opened = unclosed(place.query)
    if opened is None:
        return _ends(found, place)
    closing = {"(": ")", "[": "]", "{": "}"}[opened.text]
    where = _where(place, opened.start)
    return f"The “{opened.text}” {where} is never closed: a “{closing}” is missing."


def _unopened(found: _Match, place: _Place) -> str:
    return f"A “{found['what']}” closes what was never opened: take it out, or open it before."


def _ends(found: _Match, place: _Place) -> str:
    last = place.before
    if not last:
        return "There is no query yet."
    return f"The query ends too early: something has to follow “{last.text}”."


def _unknown_function(found: _Match, place: _Place) -> str:
    name = found["name"]
    near = get_close_matches(name.lower(), [*FUNCTIONS, *AGGREGATIONS], 3, 0.6)
    if not near:
        return f"Prometheus has no function {name}(). It may be one of a newer version."
    meant = " or ".join(f"{one}()" for one in near)
    return f"Prometheus has no function {name}(). Did you mean {meant}?"


def _range_missing(found: _Match, place: _Place) -> str:
    name = found["name"]
    inner = place.token
    if not inner or (inner.text.lower() in AGGREGATIONS | FUNCTIONS):
        way = f": {inner.text}({name}(…[5m]))" if inner and inner.text in AGGREGATIONS else ""
        return (
            f"{name}() looks at a stretch of time, and a calculated value has none. Put {name}()"
            f" inside, around the metric{way}; or ask for a subquery: {name}((…)[5m:])."
        )
    return (
        f"{name}() looks at a stretch of time: write after the metric how long it is, as in"
        f" {name}({inner.text}[5m])."
    )


def _range_given(found: _Match, place: _Place) -> str:
    inner = place.token
    around = place.call
    metric = inner.text if inner else "metric"
    return (
        f"{around + '() takes' if around else 'Here stands'} one value of each series, and a range"
        f" as [5m] gives many. Make one of them, as in {around or 'sum'}(rate({metric}[5m])), or"
        " leave the range out."
    )


def _type(found: _Match, place: _Place) -> str:
    names = {
        "scalar": "a number", "string": "a text in quotes",
        "instant vector": "series, as a metric gives them", "range vector": "a range, as up[5m]",
    }  # fmt: skip
    around = place.call
    wanted, got = (names.get(found[key], found[key]) for key in ("wanted", "got"))
    where = f"{around}() wants {wanted} here" if around else f"Here must be {wanted}"
    return f"{where}, and was given {got}. Look at the order of what stands in the parentheses."


def _range_of_expression(found: _Match, place: _Place) -> str:
    return (
        "A range as [5m] stands directly after a metric and its braces. Of anything calculated take"
        " a subquery, with a colon: (…)[5m:]. A rate belongs inside: sum(rate(metric[5m]))."
    )


def _range_in_sum(found: _Match, place: _Place) -> str:
    return (
        "Operators calculate with one value of each series, and a range as [5m] gives many. Make"
        " one of them first, with rate(…[5m]) or avg_over_time(…[5m])."
    )


def _many_to_many(found: _Match, place: _Place) -> str:
    group = found["group"]
    which = "For the same labels" if group == "{}" else f"For {group}"
    shared = "" if group != "{}" else " The two sides share no label that tells them apart."
    return (
        f"{which} there is more than one series on the {found['side']} side, so that nobody can say"
        f" which belongs to which.{shared} Make one of them, with sum by (…) (…), or name more"
        " labels in on (…)."
    )


def _many_to_one(found: _Match, place: _Place) -> str:
    return (
        "Several series of one side fit one of the other. If that is meant, say so: group_left"
        " (many on the left) or group_right after on (…)."
    )


def _duplicates(found: _Match, place: _Place) -> str:
    return (
        "Two series of the result would have the same labels. Functions drop the metric's name: ask"
        " for one metric at a time, or keep a label that tells them apart."
    )


def _duration(found: _Match, place: _Place) -> str:
    return (
        "That is no length of time: it is a number with its unit, as 30s, 5m, 1h, 7d or 1h30m"
        " (ms, s, m, h, d, w, y)."
    )


def _quotes(found: _Match, place: _Place) -> str:
    value = found["what"]
    return f'A label\'s value stands in quotes: "{value}".'


def _matching(found: _Match, place: _Place) -> str:
    return 'Braces hold label="value" pairs, with =, !=, =~ or !~, and commas between them.'


def _string(found: _Match, place: _Place) -> str:
    return "A text is opened with a quote and not closed with the same one in this line."


def _regexp(found: _Match, place: _Place) -> str:
    return (
        f"The regular expression is wrong: {found['why']}. It must match the whole value; a"
        " backslash is written twice."
    )


def _escape(found: _Match, place: _Place) -> str:
    return 'Within quotes a backslash is written twice: "\\\\d" for the expression \\d.'


def _everything(found: _Match, place: _Place) -> str:
    return "This would select every series: name a metric, or a label with a value."


def _grouping(found: _Match, place: _Place) -> str:
    word = found["word"]
    if word in ("by", "without"):
        return (
            f"“{word}” belongs to an aggregation such as sum, not to a function: sum {word} (…)"
            " (rate(…))."
        )
    if word in ("bool",):
        return "“bool” stands after the comparison: up == bool 1."
    return f"“{word}” has no place here: it follows on (…) or ignoring (…) after an operator."


def _arguments(found: _Match, place: _Place) -> str:
    name = found.groupdict().get("name") or (place.token.text if place.token else "It")
    more = found.groupdict().get("more")
    words = f"{name}() takes {more or ''}{found['wanted']} in its parentheses, not {found['got']}"
    example = {
        "histogram_quantile": ": histogram_quantile(0.95, …)", "topk": ": topk(5, …)",
        "bottomk": ": bottomk(5, …)", "quantile": ": quantile(0.95, …)",
        "predict_linear": ": predict_linear(…[1h], 4 * 3600)",
    }  # fmt: skip
    return words + example.get(name, "") + "."


def _not_for_charts(found: _Match, place: _Place) -> str:
    if found["what"] == "string":
        return "A text cannot be drawn over time: ask for it as Instant."
    return (
        "A chart needs one value of each series at each moment, and a range as [5m] gives many. Put"
        " rate() or avg_over_time() around it, or ask for it as Instant."
    )


def _next_to_each_other(found: _Match, place: _Place) -> str:
    what = f"“{found['what']}”" if found["what"] else "what follows"
    if found["what"] == "=":
        return "Values are compared with ==; a single = stands in braces alone."
    if not place.before:
        return f"No query begins with {what}."
    return f"Between “{place.before.text}” and {what} an operator or a comma is missing."


def _character(found: _Match, place: _Place) -> str:
    what = found["what"]
    if what in "“”„‘’«»":
        return f"“{what}” is a typographic quote: PromQL takes \" and '."
    return f"PromQL has no “{what}”, outside of quotes."


def _always(text: str) -> Callable[[_Match, _Place], str]:
    return lambda found, place: text


# The first that fits counts.
_KINDS: tuple[tuple[str, Callable[[_Match, _Place], str]], ...] = (
    (r"unclosed left|end of input inside braces", _unclosed),
    (r"unexpected right parenthesis '(?P<what>.)'", _unopened),
    (r"unexpected character: '(?P<what>[}\])])'", _unopened),
    (r"unexpected right (bracket|brace) '(?P<what>.)'", _unopened),
    (r'unknown function with name "(?P<name>[^"]+)"', _unknown_function),
    (
        r'expected type range vector in call to function "(?P<name>\w+)", got (instant v|s)',
        _range_missing,
    ),
    (r"expected type instant vector in .*, got range vector", _range_given),
    (r"expected type (?P<wanted>[\w ]+?) in .*, got (?P<got>[\w ]+)", _type),
    (r"ranges? only allowed for vector selectors", _range_of_expression),
    (r"(binary|unary) expression .*(scalar|instant vector)", _range_in_sum),
    (
        r"match group (?P<group>\{.*?\}) on the (?P<side>left|right) hand-side.*many-to-many",
        _many_to_many,
    ),
    (r"multiple matches for labels", _many_to_one),
    (r"same labelset", _duplicates),
    (
        r"bad number or duration",
        _always("That is neither a number nor a length of time; no name begins with a digit."),
    ),
    (r"duration syntax|in duration|duration must be|not a valid duration", _duration),
    (r"expected (number or )?duration", _duration),
    (
        r'unexpected (identifier|number) "(?P<what>[^"]+)" in label matching, expected string',
        _quotes,
    ),
    (r"in label matching", _matching),
    (r"in @, expected", _always("After @ stands a time in seconds since 1970, start() or end().")),
    (r"unterminated (quoted|raw) string", _string),
    (r"error parsing regexp: (?P<why>.*)", _regexp),
    (r"unknown escape sequence", _escape),
    (r"at least one non-empty matcher", _everything),
    (r"unexpected <(?P<word>\w+)>", _grouping),
    (
        r"expected (?P<more>at (least|most) )?(?P<wanted>\d+) argument\(s\) in call to"
        r' "(?P<name>\w+)", got (?P<got>\d+)',
        _arguments,
    ),
    (r"wrong number of arguments .* expected (?P<wanted>\d+), got (?P<got>\d+)", _arguments),
    (r'invalid expression type "(?P<what>[\w ]+)" for range query', _not_for_charts),
    (
        r"comparisons between scalars",
        _always("Two numbers are compared with bool, as in 1 == bool 1; series need none."),
    ),
    (
        r"set operator .* not allowed",
        _always("and, or and unless combine series, not numbers: vector(1) makes a series of one."),
    ),
    (
        r"in grouping opts",
        _always("The labels after by, without, on or ignoring stand in parentheses: by (job)."),
    ),
    (
        r"exceeded maximum resolution|more than Prometheus gives at once",
        _always("Prometheus gives at most 11,000 points of each series: take a shorter range."),
    ),
    (
        r"too many samples",
        _always(
            "The query reads more samples than this Prometheus lets one query read. Take a shorter"
            " range, fewer series, or a shorter [5m]."
        ),
    ),
    (
        r"timed out",
        _always(
            "The query takes too long. Name the metric and more labels, aggregate less, or take a"
            " shorter range."
        ),
    ),
    (r"invalid (destination )?label name", _always("Labels have letters, digits and “_” alone.")),
    (r"no expression found", _always("There is no query yet.")),
    (r"unexpected end of input", _ends),
    (r"unexpected character( after '.')?: '(?P<what>.)'", _character),
    (r'unexpected (\w+ )?"(?P<what>(\\"|[^"])*)"', _next_to_each_other),
)
