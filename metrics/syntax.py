"""PromQL, read as far as it takes to speak about a query. Prometheus itself judges it.

Nothing here fails: of a query that makes no sense, what can be recognised is found. Places are
offsets into the text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from metrics.promql import quoted

AGGREGATIONS = frozenset(
    {
        "avg", "bottomk", "count", "count_values", "group", "limit_ratio", "limitk", "max", "min",
        "quantile", "stddev", "stdvar", "sum", "topk",
    }
)  # fmt: skip
OF_RANGES = frozenset(
    {
        "absent_over_time", "avg_over_time", "changes", "count_over_time", "delta", "deriv",
        "double_exponential_smoothing", "holt_winters", "idelta", "increase", "irate",
        "last_over_time", "mad_over_time", "max_over_time", "min_over_time", "predict_linear",
        "present_over_time", "quantile_over_time", "rate", "resets", "stddev_over_time",
        "stdvar_over_time", "sum_over_time",
    }
)  # fmt: skip
FUNCTIONS = OF_RANGES | frozenset(
    {
        "abs", "absent", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "clamp",
        "clamp_max", "clamp_min", "cos", "cosh", "day_of_month", "day_of_week", "day_of_year",
        "days_in_month", "deg", "exp", "floor", "histogram_avg", "histogram_count",
        "histogram_fraction", "histogram_quantile", "histogram_stddev", "histogram_stdvar",
        "histogram_sum", "hour", "info", "label_join", "label_replace", "ln", "log10", "log2",
        "minute", "month", "pi", "rad", "round", "scalar", "sgn", "sin", "sinh", "sort",
        "sort_by_label", "sort_by_label_desc", "sort_desc", "sqrt", "tan", "tanh", "time",
        "timestamp", "vector", "year",
    }
)  # fmt: skip
_WITH_LABELS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_KEYWORDS = _WITH_LABELS | {
    "and", "or", "unless", "atan2", "offset", "bool", "inf", "nan", "start", "end",
}  # fmt: skip
_TOKENS = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)
    | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    | (?P<number>[0-9][0-9a-zA-Z_.]*)
    | (?P<operator>==|!=|<=|>=|=~|!~|[-+*/%^=<>@])
    | (?P<bracket>[()\[\]{}])
    | (?P<comma>,)
    | (?P<other>.)""",
    re.X | re.S,
)
_CLOSES = {")": "(", "]": "[", "}": "{"}
_ESCAPED = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3}|.)", re.S)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def tokens(query: str) -> list[Token]:
    """Without blanks and comments."""
    found = (
        Token(match.lastgroup or "", match[0], match.start()) for match in _TOKENS.finditer(query)
    )
    return [token for token in found if token.kind != "space"]


def unclosed(query: str) -> Token | None:
    """The innermost bracket that is opened and never closed."""
    opened: list[Token] = []
    for token in tokens(query):
        if token.kind == "bracket" and token.text in "([{":
            opened.append(token)
        elif token.kind == "bracket" and opened and opened[-1].text == _CLOSES[token.text]:
            opened.pop()
    return opened[-1] if opened else None


def unquoted(text: str) -> str:
    """What a string of PromQL says."""
    if text.startswith("`"):
        return text[1:-1]
    return _ESCAPED.sub(_letter, text[1:-1])


def _letter(escaped: re.Match[str]) -> str:
    code = escaped[1]
    if len(code) == 1:
        return _LETTERS.get(code, code)
    return chr(int(code, 8) if code.isdigit() and len(code) == 3 else int(code[1:], 16))


@dataclass(slots=True)
class Call:
    """A function or an aggregation. `grouping` is by or without, with `labels`; "": there is none.

    `within` are the calls around it, the outermost first.
    """

    name: str
    start: int
    within: tuple["Call", ...]
    grouping: str = ""
    labels: tuple[str, ...] = ()
    end: int = 0  # after its parenthesis; 0 while that is open

    @property
    def aggregates(self) -> bool:
        return self.name in AGGREGATIONS


@dataclass(slots=True)
class Selector:
    """`name{…}`; a matcher is (label, operator, value). `range` is the text in its brackets."""

    name: str
    start: int
    within: tuple[Call, ...]
    matchers: list[tuple[str, str, str]] = field(default_factory=list)
    range: str = ""

    @property
    def metric(self) -> str:
        """Its name, however it is written; "" if none is fixed."""
        named = (value for label, how, value in self.matchers if (label, how) == ("__name__", "="))
        return self.name or next(named, "")

    def __str__(self) -> str:
        """Without its range."""
        inner = ", ".join(f"{label}{how}{quoted(value)}" for label, how, value in self.matchers)
        return f"{self.name}{{{inner}}}" if inner else self.name


@dataclass(frozen=True, slots=True)
class Reading:
    calls: Sequence[Call]
    selectors: Sequence[Selector]


def read(query: str) -> Reading:
    return _Reader(tokens(query)).read()


class _Reader:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._calls: list[Call] = []
        self._selectors: list[Selector] = []
        self._open: list[Call | None] = []  # of each parenthesis, the call that it belongs to
        self._last: Call | Selector | None = None  # what may still get a range or a grouping

    def read(self) -> Reading:
        while self._at < len(self._tokens):
            self._step(self._next())
        return Reading(self._calls, self._selectors)

    def _next(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _peek(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    @property
    def _within(self) -> tuple[Call, ...]:
        return tuple(call for call in self._open if call)

    def _step(self, token: Token) -> None:
        last, self._last = self._last, None
        if token.kind == "name":
            self._name(token, last)
        elif token.text == "(":
            self._open.append(None)
        elif token.text == ")" and self._open:
            self._close(token)
        elif token.text == "{":
            self._select(Selector("", token.start, self._within), braces=True)
        elif token.text == "[":
            self._range(last)

    def _name(self, token: Token, last: Call | Selector | None) -> None:
        word = token.text.lower()
        if word in AGGREGATIONS and self._peek().lower() in ("by", "without"):
            self._call(token, *self._grouping())
        elif word in ("by", "without") and isinstance(last, Call):
            last.grouping, last.labels = word, self._labels()
        elif word in _WITH_LABELS:
            self._labels()
        elif self._peek() == "(":
            self._call(token)
        elif word not in _KEYWORDS:
            self._select(Selector(token.text, token.start, self._within), braces=False)

    def _grouping(self) -> tuple[str, tuple[str, ...]]:
        return self._next().text.lower(), self._labels()

    def _labels(self) -> tuple[str, ...]:
        if self._peek() != "(":
            return ()
        self._next()
        return tuple(t.text for t in self._until(")") if t.kind == "name")

    def _until(self, closing: str) -> Iterator[Token]:
        while self._at < len(self._tokens):
            token = self._next()
            if token.text == closing:
                return
            yield token

    def _call(self, token: Token, grouping: str = "", labels: tuple[str, ...] = ()) -> None:
        call = Call(token.text.lower(), token.start, self._within, grouping, labels)
        self._calls.append(call)
        if self._peek() == "(":
            self._next()
            self._open.append(call)

    def _close(self, token: Token) -> None:
        call = self._open.pop()
        if call:
            call.end = token.end
            self._last = call

    def _select(self, selector: Selector, *, braces: bool) -> None:
        if not braces and self._peek() == "{":
            self._next()
            braces = True
        if braces:
            selector.matchers = list(_matchers([*self._until("}")]))
        self._selectors.append(selector)
        self._last = selector

    def _range(self, last: Call | Selector | None) -> None:
        text = "".join(token.text for token in self._until("]"))
        if isinstance(last, Selector):
            selector: Selector = last
            selector.range = text


def _matchers(inner: list[Token]) -> Iterator[tuple[str, str, str]]:
    """A name alone in quotes, as {"http.requests"}, is the metric's."""
    start = 0
    for end in [n for n, token in enumerate(inner) if token.kind == "comma"] + [len(inner)]:
        part, start = inner[start:end], end + 1
        if len(part) == 3 and part[2].kind == "string":
            label = unquoted(part[0].text) if part[0].kind == "string" else part[0].text
            yield label, part[1].text, unquoted(part[2].text)
        elif len(part) == 1 and part[0].kind == "string":
            yield "__name__", "=", unquoted(part[0].text)
