"""``zajil setup --web``: the questions of setup in the browser, for one person and one time.

Laws:
- Security: the address holds a token that opens the pages once, in the browser that used it first,
  and for an hour. Whoever has it owns the machine's mail, so it is printed on the terminal only.
- The questions, their checks and the plan are those of ``operations.setup_questions``.
- Nothing is written before the page with the tests of the machine was confirmed.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from zajil.core.clock import Clock, Random
from zajil.core.errors import ZajilError
from zajil.operations.dns_check import ADVICE, CheckedRecord, is_all_right
from zajil.operations.dns_record import DnsRecord
from zajil.operations.probe import Probe, has_problem
from zajil.operations.setup import SetupResult, set_up
from zajil.operations.setup_answers import BadAnswer, Machine
from zajil.operations.setup_plan import SetupPlan
from zajil.operations.setup_questions import QUESTIONS, check_answer, given_folder, plan_of
from zajil.tracking.check_names import mark
from zajil.tracking.sentences import Sentence
from zajil.web.page import THEMES, Site
from zajil.web.security import SecurityHeaders, is_same_site, local_path
from zajil.web.setup_errors import Explained, explain
from zajil.web.two_ends import SidesPages

LIFETIME_MS = 3_600_000
_COOKIE = "zajil_setup"
_TOKEN_BYTES = 24
_LONGEST = 1000
_WATCH_SECONDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupTools:
    """What the pages do with the answers."""

    machine: Machine
    probe: Callable[[SetupPlan], Awaitable[Sequence[Probe]]]
    check: Callable[[Sequence[DnsRecord]], Awaitable[Sequence[CheckedRecord]]]
    clock: Clock
    random: Random
    end: Callable[[], None]
    """Ends the program."""


@dataclass(slots=True)
class _State:
    """What the one visitor has done so far."""

    answers: dict[str, str] = field(default_factory=dict)
    errors: dict[str, Explained] = field(default_factory=dict)
    """By question; ``""``: of all."""
    probes: Sequence[Probe] = ()
    plan: SetupPlan | None = None
    result: SetupResult | None = None


class SetupPages:
    """The pages of one setup.

    Args:
        tools: what they do.
        more: further options for the file, as ``KEY=VALUE``.
    """

    def __init__(self, tools: SetupTools, more: Sequence[str] = ()) -> None:
        self._tools = tools
        self._more = more
        self._writing = asyncio.Lock()
        self._pages = SidesPages(tools.clock, Site("Zajil", _COOKIE))
        self._until_ms = tools.clock.now_ms() + LIFETIME_MS
        self._cookie: str | None = None
        self._state = _State()
        self.token = tools.random(_TOKEN_BYTES).hex()
        """Opens the pages once: ``/start/TOKEN``."""

    def application(self, hosts: Sequence[str]) -> Starlette:
        """Return the pages.

        Args:
            hosts: names in Host fields that are answered.
        """
        return Starlette(
            routes=[
                Route("/start/{token}", self._start),
                Route("/", self._ask),
                Route("/", self._answer, methods=["POST"]),
                Route("/test", self._test),
                Route("/write", self._write, methods=["POST"]),
                Route("/done", self._done),
                Route("/end", self._end, methods=["POST"]),
                Route("/preferences", self._preferences, methods=["POST"]),
                Route("/static/{name}", self._pages.static.show),
            ],
            # Security: a page elsewhere must not read this one by a name of its own that it
            # points at this address (DNS rebinding).
            middleware=[
                Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts)),
                Middleware(SecurityHeaders, hsts_seconds=0),
            ],
        )

    async def _start(self, request: Request) -> Response:
        """Let in whoever has the token, once."""
        is_right = hmac.compare_digest(
            request.path_params["token"].encode(), (self.token or " ").encode()
        )
        if not is_right or self._cookie is not None or self._is_over():
            return self._refuse(request)
        self._cookie = self._tools.random(_TOKEN_BYTES).hex()
        response = RedirectResponse("/", 303)
        response.set_cookie(_COOKIE, self._cookie, httponly=True, samesite="strict")
        return response

    async def _ask(self, request: Request) -> Response:
        if not self._is_visitor(request):
            return self._refuse(request)
        if self._state.result is not None:
            return RedirectResponse("/done", 303)
        return self._show_questions(request)

    async def _answer(self, request: Request) -> Response:
        """Check all answers; test the machine if they are usable.

        What comes of it is another page, so that the browser can go back to it and load it again.
        """
        if not self._is_visitor(request) or self._state.result is not None:
            return self._refuse(request)
        state = self._state
        state.plan = None
        state.answers, state.errors = self._read(await request.form())
        if not state.errors:
            plan = plan_of(state.answers, more=self._more)
            try:
                state.probes = await self._tools.probe(plan)
                state.plan = plan
            except ZajilError as error:
                state.errors = {"": explain(error)}
        return RedirectResponse("/" if state.errors else "/test", 303)

    async def _test(self, request: Request) -> Response:
        """Show what was found on the machine."""
        if not self._is_visitor(request):
            return self._refuse(request)
        if self._state.result is not None or self._state.plan is None:
            return RedirectResponse("/", 303)
        probes = self._state.probes
        return self._show(
            request,
            "setup_test.html",
            probes=[
                (one, Sentence(one.text, one.facts), Sentence(one.advice, one.facts))
                for one in probes
            ],
            is_risky=has_problem(probes),
        )

    async def _write(self, request: Request) -> Response:
        """Set up the server; a second click on the button waits for the first."""
        plan = self._state.plan
        if not self._is_visitor(request) or self._state.result is not None or plan is None:
            return self._refuse(request)
        tools = self._tools
        async with self._writing:
            if self._state.result is None:
                try:
                    self._state.result = await run_in_threadpool(
                        set_up, plan, tools.clock, tools.random
                    )
                except ZajilError as error:
                    self._state.errors = {"": explain(error)}
                    return RedirectResponse("/", 303)
        return RedirectResponse("/done", 303)

    async def _done(self, request: Request) -> Response:
        """Show the account, the next command, and the records with their state now."""
        result, plan = self._state.result, self._state.plan
        if not self._is_visitor(request) or result is None or plan is None:
            return self._refuse(request)
        checked = await self._tools.check(result.records)
        response = self._show(
            request,
            "setup_done.html",
            result=result,
            checked=checked,
            advice=ADVICE,
            all_right=is_all_right(checked),
        )
        if not is_all_right(checked) and "watch" in request.query_params:
            response.headers["refresh"] = str(_WATCH_SECONDS)
        return response

    async def _end(self, request: Request) -> Response:
        if not self._is_visitor(request):
            return self._refuse(request)
        self._tools.end()
        return self._show(request, "setup_over.html", is_end=True)

    async def _preferences(self, request: Request) -> Response:
        form = await request.form()
        response = RedirectResponse(local_path(form.get("next"), "/"), 303)
        for name, allowed in (
            ("language", set(self._pages.languages)),
            ("theme", {*THEMES, "auto"}),
        ):
            chosen = form.get(name)
            if isinstance(chosen, str) and chosen in allowed:
                response.set_cookie(f"{_COOKIE}_{name}", chosen, samesite="lax")
        return response

    def _read(self, form: FormData) -> tuple[dict[str, str], dict[str, Explained]]:
        """Check the answers of a form, in the order of the questions."""
        answers: dict[str, str] = {}
        errors: dict[str, Explained] = {}
        for question in QUESTIONS:
            if not question.condition(answers, self._tools.machine):
                if question.name == "folder":
                    answers["folder"] = given_folder()
                continue
            typed = str(form.get(question.name, ""))[:_LONGEST]
            try:
                typed = typed or question.default(answers, self._tools.machine)
                answers[question.name] = check_answer(question, typed, answers)
                if question.name == "password" and typed != str(form.get("again", "")):
                    raise BadAnswer(mark("These are two different passwords."))
            except KeyError:  # an answer before it could not be used
                continue
            except ZajilError as error:
                errors[question.name] = explain(error)
                answers.pop(question.name, None)
                if not question.secret:
                    answers[f"typed {question.name}"] = typed
        return answers, errors

    def _is_over(self) -> bool:
        return self._tools.clock.now_ms() >= self._until_ms

    def _is_visitor(self, request: Request) -> bool:
        """Whether the request comes from the browser that opened the pages."""
        sent = request.cookies.get(_COOKIE, "")
        if self._cookie is None or self._is_over():
            return False
        # Security: the browser sends the cookie with forms of all ports of this machine.
        if request.method == "POST" and not is_same_site(request):
            return False
        return hmac.compare_digest(sent.encode(), self._cookie.encode())

    def _refuse(self, request: Request) -> Response:
        response = self._show(request, "setup_over.html", is_end=False)
        response.status_code = 403
        return response

    def _show_questions(self, request: Request) -> Response:
        machine, answers, errors = self._tools.machine, self._state.answers, self._state.errors
        questions = [
            one
            for one in QUESTIONS
            if one.name not in ("folder", "user") or one.condition({}, machine)
        ]
        values = {}
        for question in questions:
            kept = answers.get(question.name, answers.get(f"typed {question.name}"))
            if kept is None:
                with suppress(KeyError):  # the default depends on the domain
                    kept = question.default({}, machine)
            values[question.name] = "" if question.secret else kept or ""
        response = self._show(
            request, "setup.html", questions=questions, values=values, errors=errors
        )
        response.status_code = 422 if errors else 200
        return response

    def _show(self, request: Request, template: str, **context: object) -> HTMLResponse:
        visitor = self._pages.visitor(request)
        return HTMLResponse(self._pages.render(visitor, template, **context))
