"""The journeys: what is done by hand to a target, in the order in which a run does it."""

from __future__ import annotations

from viralsync_conform.journeys.account import account
from viralsync_conform.journeys.boundaries import boundaries
from viralsync_conform.journeys.cancel_delete import cancelling, deleting, ended_jobs
from viralsync_conform.journeys.children import children
from viralsync_conform.journeys.invalid_requests import (
    broken_bodies,
    content_type,
    foreign_jobs,
    keys_of_jobs,
    keys_of_reads,
    large_bodies,
    odd_keys,
    revoked_key,
    two_keys,
    unknown_jobs,
    unknown_routes,
    wrong_methods,
    wrong_methods_of_jobs,
)
from viralsync_conform.journeys.job_failure import deleting_failed, failing, failing_asset
from viralsync_conform.journeys.job_lifecycle import ledger, life_by_polling, life_by_stream
from viralsync_conform.journeys.pagination import paging, reading_a_job, reading_the_list
from viralsync_conform.journeys.plan_limits import concurrency, free_plan, plan_limits, quota, quota_forecast
from viralsync_conform.journeys.rate_limit import window
from viralsync_conform.journeys.real_limits import real_window, slots_and_workers
from viralsync_conform.journeys.streaming import keep_alive, resuming, stream_of_an_ended_job
from viralsync_conform.journeys.unusual_input import odd_paths, odd_submissions, other_methods, workers
from viralsync_conform.journeys.webhooks import (
    webhook_cadence,
    webhook_redirects,
    webhook_retries,
    webhooks_of_a_life,
    webhooks_of_other_ends,
)
from viralsync_conform.journeys.whole_spec import explored, generated_calls, other_operations
from viralsync_conform.run.journey import Journey

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
    failing_asset,
    slots_and_workers,
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
    boundaries,
    odd_submissions,
    broken_bodies,
    large_bodies,
    foreign_jobs,
    revoked_key,
    failing,
    webhooks_of_other_ends,
    deleting_failed,
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
    other_operations,
    window,
    real_window,
    generated_calls,
    explored,
)
