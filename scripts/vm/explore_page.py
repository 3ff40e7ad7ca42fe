# SPDX-License-Identifier: GPL-2.0
"""The journal of `faultline explore` as a page: sites of one actor times sites of the other, a field each."""

import html
import re
from collections import Counter
from dataclasses import dataclass, field

from .results import Record

# From the most telling to the least: a field that had several shows the first.
WORDS = ("differing", "panic", "hang", "lost", "timeout", "realised", "excluded", "timed out", "not reached")
LETTER = {"differing": "!", "panic": "!", "hang": "!", "lost": "!", "timeout": "!", "realised": "+", "excluded": "x",
          "timed out": "t", "not reached": "."}
ALONE = "(to its end)"  # the other one runs to its end
SITE = re.compile(r"^(?P<actor>[\w-]+)@(?P<kind>\w+):(?P<name>\S+)$")

STYLE = """\
:root{color-scheme:light dark}
body{font:14px/1.4 system-ui,sans-serif;margin:1em;max-width:100em}
.wide{overflow:auto}table{border-collapse:collapse;font-size:12px}
th,td{border:1px solid #8885;padding:.1em .3em;text-align:left}
th.up{writing-mode:vertical-rl;vertical-align:bottom;font-weight:normal}th.left{font-weight:normal;white-space:nowrap}
td.f{text-align:center;min-width:1em}.realised{background:#7c74}.excluded{background:#77e4}.not{background:#8882}
.timed{background:#c9c4}.differing,.panic,.hang,.lost,.timeout{background:#e44a;font-weight:bold}
td.n{text-align:right}summary{font-size:1.3em;margin:.4em 0;cursor:pointer}
pre{overflow:auto;padding:.5em;background:#8882}
"""


@dataclass(frozen=True)
class Place:
    """Where an order holds the first actor, and where the second: of orders with one or two preemptions."""

    held: str  # "collapse@enter:f#2"
    other: str  # the same of the other actor; ALONE


def place_of(record: Record) -> Place | None:
    """None for an order by PCT, of which there is no field."""
    if record.get("preemptions") not in (1, 2):
        return None
    edges = [edge.strip().split(" -> ") for edge in str(record.get("schedule", "")).split(";")]
    if any(len(edge) != 2 for edge in edges):
        return None
    held = [before for before, _ in edges if "@user:" not in before]
    if len(held) != record["preemptions"]:
        return None
    return Place(held[0], held[1] if len(held) > 1 else ALONE)


def word_of(record: Record) -> str:
    ending = str(record.get("ending"))
    died = LETTER.get(ending) == "!"
    return "differing" if record.get("difference") and not died else ending


@dataclass
class Topic:
    name: str
    orders: list[Record] = field(default_factory=list)

    def fields(self) -> dict[Place, list[Record]]:
        found: dict[Place, list[Record]] = {}
        for record in self.orders:
            if place := place_of(record):
                found.setdefault(place, []).append(record)
        return found


def topics_of(records: list[Record]) -> list[Topic]:
    topics: dict[str, Topic] = {}
    for record in records:
        if record.get("kind") == "order":
            name = str(record.get("topic"))
            topics.setdefault(name, Topic(name)).orders.append(record)
    return list(topics.values())


def _text(value: object) -> str:
    return html.escape(str(value))


def _short(site: str) -> str:
    found = SITE.match(site)
    return f"{found['name']}" if found else site


def _field(records: list[Record]) -> str:
    if not records:
        return '<td class="f"></td>'
    best = min(records, key=lambda record: WORDS.index(word_of(record)) if word_of(record) in WORDS else len(WORDS))
    word = word_of(best)
    title = "; ".join(filter(None, [word, best.get("lock"), best.get("difference"), best.get("schedule")]))
    return f'<td class="f {_text(word.split()[0])}" title="{_text(title)}">{_text(LETTER.get(word, "?"))}</td>'


def _table(topic: Topic, actor: str) -> str:
    fields = {place: records for place, records in topic.fields().items() if place.held.startswith(f"{actor}@")}
    rows = list(dict.fromkeys(place.held for place in fields))
    columns = sorted({place.other for place in fields}, key=lambda one: (one != ALONE, one))
    head = "".join(f'<th class="up">{_text(_short(one))}</th>' for one in columns)
    body = "".join(
        f'<tr><th class="left">{_text(_short(row))}</th>'
        + "".join(_field(fields.get(Place(row, column), [])) for column in columns) + "</tr>\n"
        for row in rows)
    return (f"<h3>{_text(actor)} is held at the place of the row; the other one runs to the place of the column</h3>\n"
            f'<div class="wide"><table><thead><tr><th></th>{head}</tr></thead><tbody>\n{body}</tbody></table></div>')


def elsewhere_text(one: Record) -> str:
    if one.get("skipped"):
        return f"cannot be tried on {one['cell']}: {one['skipped']}"
    otherwise = f", {one['otherwise']} end in another way" if one.get("otherwise") else ""
    return f"on {one['cell']}: {one['shown']} of {one['runs']} runs end so{otherwise}; {one['order_had']} had the order"


def _section(topic: Topic, reports: list[Record]) -> str:
    actors = list(dict.fromkeys(place.held.partition("@")[0] for place in topic.fields()))
    counts = Counter(word_of(record) for record in topic.orders)
    locks = Counter(str(record["lock"]) for record in topic.orders if record.get("lock"))
    total = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    excluded = "".join(f"<tr><td>{count}</td><td>{_text(lock)}</td></tr>" for lock, count in locks.most_common())
    differences = "".join(
        f"<h4>{_text(one.get('signature'))}</h4><p>{_text(one.get('text'))}</p>"
        f"<pre>faultline replay '{_text(one.get('schedule'))}'</pre>"
        f"<p>{_text(one.get('again'))} of {_text(one.get('tries'))} again; needed: {_text(one.get('shrunk') or 'no edge')}; "
        f"replayed: {_text(one.get('replayed'))} of {_text(one.get('replays'))}</p>"
        + (f"<p>{_text(elsewhere_text(one['elsewhere']))}</p>" if one.get("elsewhere") else "")
        for report in reports if report.get("topic") == topic.name for one in report.get("differences", []))
    opened = " open" if any(order.get("difference") for order in topic.orders) else ""
    return (f'<details id="{_anchor(topic)}"{opened}><summary>{_text(topic.name)}</summary>'
            f"<p>{len(topic.orders)} orders: {_text(total)}</p>\n{differences}"
            + (f"<h3>Excluded by</h3><table>{excluded}</table>" if excluded else "")
            + "".join(_table(topic, actor) for actor in actors) + "</details>")


def _anchor(topic: Topic) -> str:
    return re.sub(r"\W+", "-", topic.name)


def _last(reports: list[Record], topic: Topic) -> Record:
    return next((report for report in reversed(reports) if report.get("topic") == topic.name), {})


def _summary(topics: list[Topic], reports: list[Record]) -> str:
    """A line for each topic, those with a difference first."""
    columns = ("differing", "realised", "excluded", "timed out", "not reached")
    head = "".join(f"<th>{_text(one)}</th>" for one in ("", "orders", *columns, "of all orders", "not seen"))
    lines = []
    for topic in sorted(topics, key=lambda one: not any(order.get("difference") for order in one.orders)):
        counts = Counter(word_of(record) for record in topic.orders)
        last = _last(reports, topic)
        all_orders = last.get("all_orders") or 0
        tried = sum(record.get("preemptions") in (1, 2, 3) for record in topic.orders) + (last.get("implied") or 0)
        share = f"{min(tried / all_orders, 1):.1%}" if all_orders else ""
        bound = f"&lt; {min(3 / counts['realised'], 1):.1%}" if counts["realised"] else ""
        cells = "".join(f'<td class="n {_text(word.split()[0]) if word == "differing" and counts[word] else ""}">{counts[word] or ""}</td>'
                        for word in columns)
        lines.append(f'<tr><td><a href="#{_anchor(topic)}">{_text(topic.name)}</a></td><td class="n">{len(topic.orders)}</td>'
                     f'{cells}<td class="n">{share}</td><td class="n">{bound}</td></tr>\n')
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{"".join(lines)}</tbody></table></div>'


OPEN = """\
<script>
function reveal() { const one = document.getElementById(location.hash.slice(1)); if (one && one.tagName === "DETAILS") one.open = true; }
addEventListener("hashchange", reveal); reveal();
</script>"""


def page(records: list[Record], title: str) -> str:
    legend = ", ".join(f"{letter} {word}" for word, letter in LETTER.items() if word in ("differing", "realised", "excluded", "timed out", "not reached"))
    reports = [record for record in records if record.get("kind") == "explored"]
    topics = topics_of(records)
    sections = "\n".join(_section(topic, reports) for topic in topics)
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{_text(title)}</title><style>\n{STYLE}</style></head>\n<body><h1>{_text(title)}</h1>\n"
            f"<p>{_text(legend)}. The title of a field is its order. \"Of all orders\": with one and two preemptions "
            f"of these places. \"Not seen\": 95 % bound of any other outcome of the realised orders, with one run each.</p>\n"
            f"{_summary(topics, reports)}\n{sections}\n{OPEN}</body></html>\n")
