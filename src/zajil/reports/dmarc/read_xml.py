"""Aggregate reports from XML: those of RFC 9990, and the older ones of RFC 7489.

Laws:
- Security: no declaration is obeyed. A DOCTYPE ends the reading at once, so there are no entities
  to expand and nothing to fetch (billion laughs, quadratic blow-up, external entities).
- No tree is built of the document; caps on elements, depth, text and rows: memory is bounded,
  time linear.
- Elements that nobody here knows are stepped over, whatever is in them: extensions
  (RFC 9990 section 4), and what reporters made up. A report is refused only for what it must have.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import NoReturn, TypeVar
from xml.parsers import expat

from zajil.core.domain import BadDomain, to_ascii
from zajil.reports.dmarc.report import (
    AggregateReport,
    DkimResult,
    PolicyOverride,
    PublishedPolicy,
    ReportRow,
    SpfResult,
)
from zajil.reports.packing import BadReport

MAX_ELEMENTS = 400_000
"""A row has about 20 to 30."""
MAX_DEPTH = 16
"""A report has six levels; an extension may have some of its own."""
MAX_TEXT = 4096
"""Characters of one element; comments are the longest."""
MAX_ROWS = 10_000
MAX_SIGNATURES = 100
"""Of one row (RFC 9990 section 3.1.3)."""
MAX_COUNT = 10**12
"""Mails of one row: more is a lie, and must not overflow a column."""
MAX_SECONDS = 10**11

_SEPARATOR = "\n"  # cannot be in a namespace: expat turns line ends in attributes into spaces
_NUMBER = re.compile(r"[0-9]{1,15}\Z")
_WORD = re.compile(r"[a-z_]{1,40}\Z")
_OLD_NAMES = {"error": "permerror", "unknown": "temperror", "hardfail": "fail"}


def read_report(xml: bytes) -> AggregateReport:
    """Read a report.

    Raises:
        BadReport: in whatever way it is wrong.
    """
    reader = _Reader()
    reader.read(xml)
    return reader.finish()


class _Node:
    """An element that is being read: the text of its leaves, and the nodes that are kept."""

    __slots__ = ("leaves", "nodes")

    def __init__(self) -> None:
        self.leaves: dict[str, str] = {}
        self.nodes: dict[str, list[_Node]] = {}

    def text(self, name: str) -> str:
        return self.leaves.get(name, "")

    def child(self, name: str) -> _Node:
        found = self.nodes.get(name)
        return found[0] if found else _EMPTY


_EMPTY = _Node()

# What is kept, and how often at most. All else is stepped over.
_NODES = {
    "feedback": {"report_metadata": 1, "policy_published": 1, "record": MAX_ROWS},
    "report_metadata": {"date_range": 1},
    "record": {"row": 1, "identifiers": 1, "auth_results": 1},
    "row": {"policy_evaluated": 1},
    "policy_evaluated": {"reason": 10},
    "auth_results": {"dkim": MAX_SIGNATURES, "spf": 10},
}


class _Reader:
    def __init__(self) -> None:
        parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        parser.buffer_text = False
        parser.StartDoctypeDeclHandler = self._refuse_declaration
        parser.EntityDeclHandler = self._refuse_declaration
        parser.ExternalEntityRefHandler = self._refuse_declaration
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self._parser = parser
        self._elements = 0
        self._path: list[tuple[str, _Node | None]] = []
        """Names and nodes of the open elements; ``None``: a leaf, or stepped over."""
        self._skipped = 0
        """Open elements inside of one that is stepped over."""
        self._text: list[str] = []
        self._text_size = 0
        self._rows: list[ReportRow] = []
        self._root: _Node | None = None
        self._namespace = ""

    def read(self, xml: bytes) -> None:
        try:
            # In one piece: older versions of expat read a long token anew with each piece.
            self._parser.Parse(xml, True)
        except expat.ExpatError as error:
            raise BadReport(f"it is not XML: {expat.ErrorString(error.code)}") from None
        except (ValueError, LookupError) as error:
            if isinstance(error, BadReport):
                raise
            # An encoding that Python has not, or that is none for text.
            raise BadReport("its encoding is not supported") from None
        finally:
            # The handlers are methods of ours: the cycle is cut so that memory goes at once.
            self._parser.StartElementHandler = None
            self._parser.EndElementHandler = None
            self._parser.CharacterDataHandler = None

    def finish(self) -> AggregateReport:
        if self._root is None:
            raise BadReport("it is empty")
        return _make_report(self._root, self._rows)

    # ---- what expat calls -----------------------------------------------------------------------

    def _refuse_declaration(self, *_: object) -> NoReturn:
        raise BadReport("it has a document type declaration, which is not allowed")

    def _start(self, name: str, _attributes: object) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise BadReport("it has too many elements")
        if len(self._path) + self._skipped >= MAX_DEPTH:
            raise BadReport("its elements are nested too deeply")
        namespace, _, local = name.rpartition(_SEPARATOR)
        self._text, self._text_size = [], 0
        if not self._path:
            self._begin_root(local, namespace)
            return
        parent_name, parent = self._path[-1]
        # RFC 9990 section 4: extensions have a namespace of their own.
        is_foreign = namespace != "" and namespace != self._namespace
        if self._skipped or is_foreign or parent is None:
            self._skipped += 1
            return
        most = _NODES.get(parent_name, {}).get(local)
        if most is None:
            self._path.append((local, None))
            return
        there = len(self._rows) if local == "record" else len(parent.nodes.get(local, ()))
        if there >= most:
            if local == "record":
                raise BadReport("it has too many records")
            self._skipped += 1
            return
        node = _Node()
        if local != "record":
            parent.nodes.setdefault(local, []).append(node)
        self._path.append((local, node))

    def _begin_root(self, local: str, namespace: str) -> None:
        if local != "feedback":
            raise BadReport("its root element is not <feedback>")
        # RFC 7489 gave none, its schema another, and some write their own.
        self._namespace = namespace
        self._root = _Node()
        self._path.append((local, self._root))

    def _end(self, _name: str) -> None:
        text, self._text, self._text_size = "".join(self._text).strip(), [], 0
        if self._skipped:
            self._skipped -= 1
            return
        name, node = self._path.pop()
        if node is None:
            _, parent = self._path[-1]
            if parent is not None and len(parent.leaves) < 32:
                if name == "error":
                    name = f"error{sum(key.startswith('error') for key in parent.leaves)}"
                parent.leaves.setdefault(name, text)
        elif name == "record":
            self._rows.append(_make_row(node))

    def _characters(self, data: str) -> None:
        if self._skipped or not self._path or self._path[-1][1] is not None:
            return
        self._text_size += len(data)
        if self._text_size > MAX_TEXT:
            raise BadReport("a text in it is too long")
        self._text.append(data)


def _make_report(root: _Node, rows: list[ReportRow]) -> AggregateReport:
    metadata, published = root.child("report_metadata"), root.child("policy_published")
    period = metadata.child("date_range")
    if not rows:
        raise BadReport("it has no records")
    return AggregateReport(
        organization=_required(metadata, "org_name"),
        email=metadata.text("email"),
        report_id=_required(metadata, "report_id").strip("<>"),
        begin_s=_number(period, "begin", MAX_SECONDS),
        end_s=_number(period, "end", MAX_SECONDS),
        policy=PublishedPolicy(
            domain=_domain(_required(published, "domain")),
            policy=_word(published, "p") or "none",
            subdomain_policy=_word(published, "sp"),
            absent_policy=_word(published, "np"),
            dkim_alignment=_word(published, "adkim"),
            spf_alignment=_word(published, "aspf"),
            failure_options=published.text("fo")[:40],
            testing=_word(published, "testing"),
            discovery_method=_word(published, "discovery_method"),
        ),
        rows=tuple(rows),
        contact=metadata.text("extra_contact_info"),
        errors=tuple([text for key, text in metadata.leaves.items() if key.startswith("error")]),
        generator=metadata.text("generator"),
    )


def _make_row(record: _Node) -> ReportRow:
    row, identifiers = record.child("row"), record.child("identifiers")
    evaluated, results = row.child("policy_evaluated"), record.child("auth_results")
    return ReportRow(
        source_ip=_address(_required(row, "source_ip")),
        count=_number(row, "count", MAX_COUNT),
        disposition=_word(evaluated, "disposition") or "none",
        dkim=_word(evaluated, "dkim") or "fail",
        spf=_word(evaluated, "spf") or "fail",
        header_from=_domain(_required(identifiers, "header_from")),
        envelope_from=_optional_domain(identifiers, "envelope_from"),
        envelope_to=_optional_domain(identifiers, "envelope_to"),
        overrides=_each(evaluated, "reason", _make_override),
        dkim_results=_each(results, "dkim", _make_dkim),
        spf_results=_each(results, "spf", _make_spf),
    )


_T = TypeVar("_T")


def _each(node: _Node, name: str, make: Callable[[_Node], _T]) -> tuple[_T, ...]:
    return tuple([make(one) for one in node.nodes.get(name, ())])


def _make_override(node: _Node) -> PolicyOverride:
    return PolicyOverride(_word(node, "type") or "other", node.text("comment"))


def _make_dkim(node: _Node) -> DkimResult:
    return DkimResult(
        _domain(node.text("domain")),
        node.text("selector"),
        _result(node),
        node.text("human_result"),
    )


def _make_spf(node: _Node) -> SpfResult:
    return SpfResult(
        _domain(node.text("domain")),
        _result(node),
        _word(node, "scope") or "mfrom",
        node.text("human_result"),
    )


def _result(node: _Node) -> str:
    word = _word(node, "result") or "none"
    return _OLD_NAMES.get(word, word)


def _required(node: _Node, name: str) -> str:
    text = node.text(name)
    if not text:
        raise BadReport(f"it has no {name}")
    return text


def _number(node: _Node, name: str, most: int) -> int:
    text = _required(node, name)
    # Some write 1.7e9 with a fraction of seconds.
    match = _NUMBER.match(text.partition(".")[0])
    if match is None or int(match[0]) > most:
        raise BadReport(f"{name} is not a valid number")
    return int(match[0])


def _word(node: _Node, name: str) -> str:
    text = node.text(name).lower()
    return text if _WORD.match(text) else ""


def _address(text: str) -> str:
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        raise BadReport("source_ip is not an IP address") from None


def _optional_domain(node: _Node, name: str) -> str | None:
    text = node.leaves.get(name)
    return None if text is None else _domain(text.strip("<>"))


def _domain(text: str) -> str:
    """Return a domain in ASCII where it is one; else what stands there."""
    try:
        return to_ascii(text) if text else ""
    except BadDomain:
        return text.lower()[:255]
