"""What every answer must keep, whatever it was asked for: status, media type, headers, body, and the shape of errors.

The spec says what that is, and its marks say into which category a violation goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from jsonschema_rs import Draft202012Validator

from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.contract.schemas import DELETES, ENDS, EVENT_STREAM, JSON, ExpectedSpec, Violation
from viralsync_conform.findings import CATEGORY_OF_MARK, Category, Check, Finding, Provenance
from viralsync_conform.run.context import RunContext

GATEWAY = frozenset({502, 504})
"""What a proxy before the API answers: it is not the API's own word."""

FIRST_SERVER_ERROR = 500
NO_CONTENT, TOO_MANY = 204, 429

INFRASTRUCTURE_HEADERS = frozenset({
    "x-cache", "x-cache-hits", "x-served-by", "x-timer", "x-request-id", "x-correlation-id", "x-trace-id",
    "x-amzn-trace-id", "x-amz-cf-id", "x-amz-cf-pop", "x-powered-by", "x-frame-options", "x-content-type-options",
    "x-xss-protection", "x-robots-tag", "x-vercel-id", "x-vercel-cache", "x-runtime", "x-download-options",
    "x-dns-prefetch-control", "x-permitted-cross-domain-policies", "x-cloud-trace-context",
    "x-envoy-upstream-service-time", "x-accel-buffering",
})  # fmt: skip
"""Headers that proxies and frameworks add: they say nothing of the API."""


def check_response(run: RunContext, call: Exchange) -> None:
    """Put whatever an answer breaks into its category, and count what was looked at.

    A 5xx is not judged: often it is the word of a proxy. `outages` says what it means.
    """
    if call.status is None or call.problem or call.status >= FIRST_SERVER_ERROR:
        return
    run.check(facts.KEY_SECRET, not call.shows_key, call, expected="no key", got="a key, masked here")
    if call.status == TOO_MANY and call.code is not None:  # whenever one is met, also when it is waited out
        expected = run.assumed.behaviour.code("RATE_LIMITED")
        is_known = call.code.upper() == expected.upper()
        run.check(facts.ERROR_CODE, is_known, call, expected=expected, got=call.code, name="RATE_LIMITED")
    if call.operation is not None:
        for finding in _findings(run, call, call.operation):
            run.findings.add(finding)
    elif call.status >= 400 and call.method != "HEAD":
        for finding in _error_of_nowhere(run, call):
            run.findings.add(finding)
    for finding in _new_headers(run.contract, call):
        run.findings.add(finding)


def is_gateway_error(call: Exchange) -> bool:
    """Say whether an answer is that of a proxy which could not reach the API."""
    return call.status in GATEWAY


def _findings(run: RunContext, call: Exchange, operation: str) -> Iterator[Finding]:
    contract, status = run.contract, call.status or 0
    answers = contract.responses(operation)
    if str(status) not in answers:
        yield _undeclared(call, answers)
        return
    run.asserted[facts.STATUS] += 1
    content = answers[str(status)].get("content", {})
    yield from _header_findings(run, call, answers[str(status)].get("headers", {}))
    if content and call.method != "HEAD":
        yield from _body_findings(run, call, operation, next(iter(content)))


def _undeclared(call: Exchange, answers: Iterable[str]) -> Finding:
    category = Category.ADDITIVE if call.is_success else Category.DIFFERENCE
    return _finding(
        call,
        category,
        "status",
        f"{call.operation} is not documented to answer {call.status}",
        expected=", ".join(answers),
    )


def _body_findings(run: RunContext, call: Exchange, operation: str, media_type: str) -> Iterator[Finding]:
    run.asserted[facts.CONTENT_TYPE] += 1
    if call.media_type != media_type:
        yield _finding(
            call,
            CATEGORY_OF_MARK[_mark_of_media_type(run, call, operation)],
            facts.CONTENT_TYPE.name,
            f"{operation} answers {call.status} with another media type",
            place="content-type",
            expected=media_type,
            got=call.header("content-type") or "none",
        )
        return
    if media_type == EVENT_STREAM:
        return  # its events are judged when they are all there: `look_at_events`
    if call.json is None and call.body.strip() != b"null":
        category = CATEGORY_OF_MARK[_mark_of_media_type(run, call, operation)]
        yield _finding(call, category, facts.SCHEMA.name, "the body is not JSON", keyword="json", got=_start(call))
        return
    run.asserted[facts.SCHEMA] += 1
    yield from _schema_findings(run.contract, call, operation, media_type, call.json)


def _mark_of_media_type(run: RunContext, call: Exchange, operation: str) -> Provenance:
    """Pages say JSON and event stream; what a gateway in front says of a large body, and of a cancel, is open."""
    if not call.body and call.media_type == "":
        return Provenance.ASSUMED if call.effect in {ENDS, DELETES} else Provenance.DOCUMENTED
    if call.is_success:
        return Provenance.ASSUMED if call.effect in {ENDS, DELETES} else Provenance.DOCUMENTED
    return run.contract.mark_of_status(operation, call.status or 0)


def check_events(run: RunContext, call: Exchange) -> None:
    """Judge every event of a stream by the schema of its data: that it is that of webhooks is assumed."""
    if call.operation is None or call.media_type != EVENT_STREAM:
        return
    for event in call.events:
        run.asserted[facts.SCHEMA] += 1
        for finding in _schema_findings(run.contract, call, call.operation, EVENT_STREAM, event.document):
            is_failure = finding.category is Category.FAILURE
            run.findings.add(
                replace(finding, category=Category.DIFFERENCE, mark=Provenance.ASSUMED) if is_failure else finding
            )


def _schema_findings(
    contract: ExpectedSpec, call: Exchange, operation: str, media_type: str, value: object
) -> Iterator[Finding]:
    schema = contract.schema(operation, call.status or 0, media_type)
    if schema is None:
        return
    is_open = call.effect in {ENDS, DELETES} and call.is_success
    yield from _judged(call, facts.SCHEMA, schema.violations(value), schema.additions(value), is_open=is_open)
    if (call.status or 0) >= 400:
        yield from _code_findings(contract, call, value)


def _code_findings(contract: ExpectedSpec, call: Exchange, value: object) -> Iterator[Finding]:
    """A code that the spec does not know, or that belongs to another status."""
    code = value.get("code") if isinstance(value, Mapping) else None
    if isinstance(code, str) and code not in contract.codes and not call.expected:
        yield _finding(
            call,
            Category.DIFFERENCE,
            facts.ERROR_CODE_A.name,
            f"the code {code} is not known",
            place="/code",
            name=code,
            mark=Provenance.ASSUMED,
        )


def _error_of_nowhere(run: RunContext, call: Exchange) -> Iterator[Finding]:
    """An error of a path or method that the spec does not have is an error like any other."""
    run.asserted[facts.ERROR_SHAPE] += 1
    if call.media_type != JSON or call.json is None:
        yield _finding(
            call,
            Category.FAILURE,
            facts.ERROR_SHAPE.name,
            "an error is not JSON",
            place="content-type",
            expected=JSON,
            got=call.header("content-type") or "none",
        )
        return
    schema = run.contract.component("ErrorBody")
    yield from _judged(call, facts.ERROR_SHAPE, schema.violations(call.json), schema.additions(call.json))


def _judged(
    call: Exchange,
    check: Check,
    violations: Iterable[Violation],
    additions: Iterable[tuple[str, str]],
    *,
    is_open: bool = False,
) -> Iterator[Finding]:
    """Yield what breaks a schema, by its mark unless all of it is open, and what the schema does not know."""
    for place, keyword, name, message, known, source in violations:
        mark = Provenance.ASSUMED if is_open else known
        yield _finding(
            call, CATEGORY_OF_MARK[mark], check.name, message, place=place, keyword=keyword, name=name, mark=mark,
            source=source,
        )  # fmt: skip
    for place, name in additions:
        text = f"`{name}` is not documented"
        yield _finding(call, Category.ADDITIVE, check.name, text, place=place, keyword="additional", name=name)


def _header_findings(run: RunContext, call: Exchange, declared: Mapping[str, Any]) -> Iterator[Finding]:
    for name, part in declared.items():
        header = run.contract.follow(part)
        run.asserted[facts.HEADERS] += 1
        mark = Provenance(header.get("x-provenance", {}).get("mark", "A"))
        value = call.header(name)
        if value is None:
            if header.get("required") or mark is Provenance.ASSUMED:
                yield _finding(
                    call,
                    CATEGORY_OF_MARK[mark],
                    facts.HEADERS.name,
                    f"the header {name} is missing",
                    place=name,
                    keyword="required",
                    mark=mark,
                )
            continue
        schema = run.contract.follow(header["schema"])
        for error in Draft202012Validator(schema).iter_errors(_typed(value, schema)):
            yield _finding(
                call,
                CATEGORY_OF_MARK[mark],
                facts.HEADERS.name,
                f"{name}: {error.message}",
                place=name,
                keyword=str(error.schema_path[-1]),
                got=value,
                mark=mark,
            )


def _typed(value: str, schema: Mapping[str, Any]) -> object:
    if schema.get("type") == "integer" and value.strip().isdecimal():
        return int(value)
    return value


def _new_headers(contract: ExpectedSpec, call: Exchange) -> Iterator[Finding]:
    """Headers of the API's own that nobody documented: whatever begins with `x-` or tells of the rate limit."""
    answers = contract.responses(call.operation) if call.operation else {}
    known = {name.lower() for name in answers.get(str(call.status), {}).get("headers", {})}
    for name, value in call.headers:
        lower = name.lower()
        is_own = lower.startswith("ratelimit") or (lower.startswith("x-") and not lower.startswith("x-mock-"))
        if is_own and lower not in known | INFRASTRUCTURE_HEADERS:
            yield Finding(
                Category.ADDITIVE,
                facts.HEADERS.name,
                f"the header {lower} is not documented",
                place=lower,
                keyword="additional",
                name=lower,
                got=value,
                calls=(call.number,),
                journey=call.journey,
            )


def _start(call: Exchange, longest: int = 80) -> str:
    return call.body[:longest].decode("utf-8", "replace")


def _finding(call: Exchange, category: Category, check: str, message: str, **rest: Any) -> Finding:
    return Finding(
        category,
        check,
        message,
        operation=call.operation,
        status=call.status,
        calls=(call.number,),
        journey=call.journey,
        **rest,
    )
