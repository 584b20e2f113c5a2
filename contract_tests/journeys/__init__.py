"""The journeys: what is done by hand to a target, in the order in which a run does it."""

from __future__ import annotations

from contract_tests.journey import Journey
from contract_tests.journeys.account import account
from contract_tests.journeys.endings import cancelling, deleting, ended_jobs
from contract_tests.journeys.exploring import explored
from contract_tests.journeys.failing import failing
from contract_tests.journeys.family import children
from contract_tests.journeys.hooks import (
    webhook_cadence,
    webhook_redirects,
    webhook_retries,
    webhooks_of_a_life,
    webhooks_of_other_ends,
)
from contract_tests.journeys.keys import foreign_jobs, keys_of_jobs, keys_of_reads, odd_keys, revoked_key, two_keys
from contract_tests.journeys.life import ledger, life_by_polling, life_by_stream
from contract_tests.journeys.limits import free_plan, plan_limits, quota, quota_forecast
from contract_tests.journeys.made_up import generated_calls
from contract_tests.journeys.odd import odd_paths, odd_submissions, other_methods, workers
from contract_tests.journeys.pages import paging, reading_a_job, reading_the_list
from contract_tests.journeys.refusals import (
    broken_bodies,
    content_type,
    large_bodies,
    unknown_jobs,
    unknown_routes,
    wrong_methods,
    wrong_methods_of_jobs,
)
from contract_tests.journeys.slots import concurrency
from contract_tests.journeys.streaming import keep_alive, resuming, stream_of_an_ended_job
from contract_tests.journeys.window import window

JOURNEYS: tuple[Journey, ...] = (
    account,
    keys_of_reads,
    odd_keys,
    two_keys,
    unknown_routes,
    wrong_methods,
    unknown_jobs,
    odd_paths,
    other_methods,
    reading_the_list,
    reading_a_job,
    life_by_polling,
    life_by_stream,
    children,
    ledger,
    stream_of_an_ended_job,
    resuming,
    webhooks_of_a_life,
    keys_of_jobs,
    wrong_methods_of_jobs,
    paging,
    ended_jobs,
    cancelling,
    deleting,
    content_type,
    odd_submissions,
    broken_bodies,
    large_bodies,
    foreign_jobs,
    revoked_key,
    failing,
    webhooks_of_other_ends,
    quota,
    quota_forecast,
    free_plan,
    plan_limits,
    concurrency,
    workers,
    keep_alive,
    webhook_retries,
    webhook_redirects,
    webhook_cadence,
    window,
    generated_calls,
    explored,
)
