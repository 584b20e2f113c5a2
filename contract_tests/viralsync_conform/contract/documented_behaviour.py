"""The behaviours that are asserted by hand, each with the page that says it and how well it is known.

What the spec itself says of statuses, headers and bodies is not repeated here: `judge` reads it from there.
"""

from __future__ import annotations

from viralsync_conform.findings import Check, Provenance

D, S, A = Provenance.DOCUMENTED, Provenance.SAMPLED, Provenance.ASSUMED

JOBS, RENDER, ERRORS = "/api-reference/jobs", "/api-reference/render", "/api-reference/errors"
OVERVIEW, AUTH, MODEL = "/api-reference/overview", "/getting-started/authentication", "/concepts/jobs-model"
PIPELINE, RATES, MINUTES = "/concepts/render-pipeline", "/billing/rate-limits", "/concepts/render-minutes"
WEBHOOK_PAGE = "/guides/webhooks"

# any answer
STATUS = Check("status", "An operation answers as it is documented.", D, OVERVIEW)
STATUS_A = Check("status_assumed", "An operation answers with the status that is assumed.", A, OVERVIEW)
CONTENT_TYPE = Check("content_type", "Every answer has the media type that is documented.", D, OVERVIEW)
BODY_ENDS = Check("body_ends", "The body of an answer ends, in time and within 8 MiB.", D, OVERVIEW)
ERROR_SHAPE = Check("error_shape", "Every error has `error`, a text, and `code`, a stable name.", D, OVERVIEW)
ERROR_CODE = Check("error_code", "A refusal has the code that is documented for it.", D, ERRORS)
ERROR_CODE_A = Check("error_code_assumed", "A refusal has the code that is assumed for it.", A, ERRORS)
SCHEMA = Check("schema", "A body has the schema that is documented.", D, OVERVIEW)
HEADERS = Check("headers", "The headers that are documented are there, and of their schema.", D, OVERVIEW)
SERVER_ERROR = Check("server_error", "No request makes the server fail.", D, ERRORS)
PLACE = Check("place", "The text of a 400 names the place.", A, ERRORS)
REFUSED_AS = Check("refused_as", "What is refused is refused with the status that is documented.", D, ERRORS)
UNKNOWN_ROUTE = Check("unknown_route", "A path that the API does not have is refused.", D, ERRORS)
NO_REFUSAL = Check("refusal", "What is not valid is refused.", D, ERRORS)

# keys
KEY_NEEDED = Check("key_needed", "No operation answers without a valid key.", D, AUTH)
BEARER = Check("bearer", "A bearer token is equivalent to the header x-api-key.", D, AUTH)
REVOKED = Check("revoked_key", "A revoked key is refused as such.", D, AUTH)
KEY_SECRET = Check("key_secret", "No answer repeats a key.", A, AUTH)
EMAIL = Check("email", "The account has an address.", A, AUTH)
TWO_KEYS = Check("two_keys", "Two keys that differ are refused.", A, AUTH)
FOREIGN = Check("foreign_job", "Another account's job is unknown.", A, ERRORS)

# the account
PLAN_AGREES = Check("plan_agrees", "Account and usage name the same plan.", A, MINUTES)
PLAN_LIMITS = Check("plan_limits", "Usage shows the limits of the plan.", D, RATES)
REMAINING = Check("remaining", "What remains is the limit less what is used.", A, MINUTES)
PERIOD = Check("period", "The period is a calendar month in UTC.", A, MINUTES)
UNFINISHED = Check("concurrent_jobs", "Usage counts the jobs that are not finished.", A, RATES)

# a job
JOB_ID = Check("job_id", "A job is read under the id that the submission gave.", D, JOBS)
JOB_ID_FORM = Check("job_id_form", "The id of a job has the form of the samples.", S, JOBS)
ASYNCHRONOUS = Check("asynchronous", "A submission is answered before its job has ended.", D, OVERVIEW)
QUEUED_FIRST = Check("queued_first", "A submission answers that the job is queued.", A, RENDER)
NEW_JOB = Check("new_job", "Each submission makes a new job.", A, RENDER)
ECHO = Check("payload_echo", "The payload echoes what was submitted.", S, JOBS)
PARENT = Check("parent", "A top-level job has no parent, a child names its own.", D, JOBS)
CHILDREN = Check("children", "A parent counts its children; other jobs do not.", D, MODEL)
CHILDREN_MOST = Check("children_most", "The counters count no more children than there are.", D, MODEL)
CHILDREN_SUM = Check("children_sum", "The counters of children add up.", A, MODEL)
CHILDREN_DONE = Check("children_done", "A parent is done once its children are.", D, MODEL)
CHILDREN_START = Check("children_start", "Children wait in the queue before they run.", A, MODEL)
CHILD_TYPE = Check(
    "child_type", "A scene is a job of type render.scene, the assembly one of render.assemble.", D, MODEL
)
CHILD_UNKNOWN = Check("child_unknown", "A scene that a movie does not have is no job.", A, JOBS)
CHILD_RUNS = Check("child_runs", "A scene that is rendered is running.", A, MODEL)
CHILD_STREAM = Check("child_stream", "The progress of a child can be streamed as that of its parent.", A, JOBS)
CASE = Check("id_case", "An id in other letters is another id.", A, JOBS)
CHILD_READ = Check("child_read", "The children of a job are readable by the ids of the samples.", S, JOBS)
PROGRESS = Check("progress", "Progress never goes back.", D, JOBS)
PROGRESS_DONE = Check("progress_done", "A job that is done has made all its progress.", D, JOBS)
PROGRESS_QUEUED = Check("progress_queued", "A job that is queued has made no progress.", A, JOBS)
PROGRESS_MOVES = Check("progress_moves", "A parent makes progress as its children are done.", A, JOBS)
PROGRESS_LEFT = Check("progress_left", "A job that has not ended has progress left to make.", A, JOBS)
RENDERING = Check("children_render", "While a job renders, children do; when it assembles, all are done.", A, MODEL)
CHILDREN_END = Check("children_end", "When a parent has ended, no child is at work.", A, MODEL)
FROZEN = Check("progress_frozen", "The progress of a job that ended stands still.", A, JOBS)
OUTPUT = Check("output_url", "A job has an output when it is done, and none otherwise.", D, JOBS)
OUTPUT_FORM = Check("output_url_form", "The address of an output has the form of the samples.", S, JOBS)
ERROR_TEXT = Check("error_text", "A failed job says why, and no other has an error.", D, JOBS)
ERROR_FORM = Check("error_text_form", "The error of a failed job reads `CODE: detail`.", S, JOBS)
MEDIA = Check("media_data", "A job that is done describes its output, and no other.", S, JOBS)
MEDIA_MATCHES = Check("media_data_matches", "The output is as long and as large as the movie.", S, JOBS)
MEDIA_SIZE = Check("output_size", "The output is as large as the echoed movie, 1920x1080 by default.", S, JOBS)
FRAME = Check("output_frame", "The output is as large as asked for, 1920x1080 by default, on any preset.", D, RENDER)
DEFAULTS = Check("defaults", "What is left out of a movie has its documented default.", D, RENDER)
SCENE_ORDER = Check("scene_order", "Scenes keep their order.", D, RENDER)
WORKERS_ASKED = Check("workers_asked", "As many scenes render at once as were asked for.", D, PIPELINE)
PHASE_STATUS = Check("phase_status", "Status and phase go together.", A, PIPELINE)
PHASE_NULL = Check("phase_null", "A job that waits in the queue or has ended has no phase.", A, PIPELINE)
EDGES = Check("edges", "A job goes from step to step as documented, and never back.", D, PIPELINE)
STEPS_COMPLETE = Check("steps_complete", "The stream of a job tells of every phase.", A, PIPELINE)
ENDS = Check("ends", "A job ends.", D, MODEL)
OUTCOME = Check("outcome", "A valid movie is rendered.", D, MODEL)
STREAM_END = Check("stream_end", "The stream of a job tells in which status it ended.", D, JOBS)
STAYS = Check("terminal_stays", "A job that has ended stays as it is.", D, MODEL)
CREATED = Check("created_at", "The instant at which a job was created never changes.", S, JOBS)
UPDATED = Check("updated_at", "The instant of the last change follows the changes, and never goes back.", S, JOBS)
SCENE_FAILS = Check("scene_failure", "A failing scene does not stop the others at once.", D, PIPELINE)

# the list
BARE = Check("bare", "Success returns the data bare: a list has its jobs at the top.", D, OVERVIEW)
LISTED = Check("listed", "The list has every job of the account.", D, JOBS)
ORDER = Check("order", "The list is sorted by `createdAt`, the newest first.", D, JOBS)
LIMIT = Check("limit", "A page holds at most as many jobs as were asked for.", D, JOBS)
DEFAULT_LIMIT = Check("default_limit", "A page holds 25 jobs unless more or fewer are asked for.", D, JOBS)
FULL_PAGE = Check("full_page", "A page that others follow holds as many jobs as were asked for.", D, JOBS)
PAGES = Check("pages", "Pages are disjoint, and together they are the list.", D, JOBS)
LAST_PAGE = Check("last_page", "The last page has no `nextCursor`, and every other has one.", D, JOBS)
STABLE = Check("stable_pages", "A job submitted while paging neither repeats nor hides an older one.", A, JOBS)
STATUS_FILTER = Check("status_filter", "The filter `status` leaves only jobs in that status.", S, JOBS)
TYPE_FILTER = Check("type_filter", "The filter `type` leaves only jobs of that type.", D, JOBS)
UNKNOWN_TYPE = Check("unknown_type", "A type that does not exist gives an empty page.", A, JOBS)
LIST_FIELDS = Check("list_fields", "The list shows every field of a job as the job itself does.", A, JOBS)
LIST_AGREES = Check("list_agrees", "The list shows a job in the status in which it is.", D, JOBS)

# the stream
SNAPSHOT = Check("stream_snapshot", "A stream begins with where the job stands.", A, JOBS)
TERMINAL_EVENT = Check("terminal_event", "A stream tells of the end once, and last.", A, JOBS)
CLOSES = Check("stream_closes", "The server closes a stream after the terminal event.", A, JOBS)
ONE_EVENT = Check(
    "stream_of_terminal", "The stream of a job that has ended tells of the end alone, and closes.", A, JOBS
)
EVENT_IDS = Check("event_ids", "Every event has an id of its own.", A, JOBS)
EVENT_JOB = Check("event_job", "Every event of a stream is about its job.", D, JOBS)
EVENT_TIMES = Check("event_times", "The timestamps of events never go back.", A, WEBHOOK_PAGE)
EVERY_CHANGE = Check("stream_every_change", "A stream tells of every change that polling sees.", A, JOBS)
AGREES = Check("stream_agrees", "Polling and streaming tell the same life.", A, JOBS)
RESUMES = Check("resume", "`Last-Event-ID` replays exactly what came after it.", A, JOBS)

STREAM_LIVE = Check("stream_live", "A stream tells of progress while it is made.", D, JOBS)

# cancel and delete
CANCEL_ANSWER = Check("cancel_answer", "The answer to a cancel is the cancelled job.", A, JOBS)
STAYS_ALL = Check("terminal_fields_stay", "No field of a job that has ended changes.", A, JOBS)
CANCELS = Check("cancels", "A cancelled job becomes `cancelled`, and stays so.", D, JOBS)
CANCEL_TERMINAL = Check("cancel_terminal", "A job that has ended cannot be cancelled.", A, ERRORS)
DELETES = Check("deletes", "A deleted job is gone: from its id, its stream and the list.", D, JOBS)
DELETE_RUNNING = Check("delete_running", "Only a job that has ended can be deleted.", D, JOBS)
DELETE_BODY = Check("delete_body", "The answer to a deletion names the job.", A, JOBS)

# limits
CHARGED = Check("charged", "A job that is done costs a sixtieth of its length in seconds, once.", D, MINUTES)
NOT_REFUNDED = Check("not_refunded", "What a job cost stays spent when it is deleted.", A, MINUTES)
NOT_CHARGED = Check("not_charged", "What was cancelled, failed, polled or streamed costs nothing.", D, MINUTES)
QUOTA = Check("quota", "When the month's minutes are used up, submissions are refused.", D, ERRORS)
QUOTA_RESETS = Check("quota_resets", "On the 1st at 00:00 UTC the month's minutes are there again.", D, ERRORS)
DAILY = Check("daily_quota", "On plan Free, five minutes a day are all.", D, ERRORS)
FREE = Check("free_plan", "Plan Free may not use REST.", D, AUTH)
CONCURRENCY = Check("concurrency", "No more jobs run at once than the plan allows.", D, RATES)
PLAN_LENGTH = Check("plan_length", "A movie longer than the plan allows is refused.", D, RATES)
PLAN_SIZE = Check("plan_size", "A frame larger than the plan allows is refused.", D, RATES)
PLAN_FITS = Check("plan_fits", "A movie as long and as large as the plan allows is accepted.", D, RATES)
PORTRAIT = Check("portrait", "Sizes compare long side with long side.", A, RATES)
WINDOW = Check("window", "Exactly as many requests as documented succeed in any window.", D, RATES)
SLIDES = Check("window_slides", "The window slides.", D, RATES)
RETRY_AFTER = Check("retry_after", "After `Retry-After` the next request succeeds.", D, RATES)
RETRY_SECONDS = Check("retry_after_seconds", "`Retry-After` counts seconds: no more than the window has.", D, RATES)
RETRY_EARLY = Check("retry_after_needed", "`Retry-After` is no longer than it must be.", A, RATES)
RETRY_TEXT = Check("retry_after_text", "The text of a 429 names the same number of seconds.", S, RATES)
OWN_WINDOW = Check("own_window", "Every key has a window of its own.", D, RATES)

# webhooks
EVENT_CHILDREN = Check("event_children_streamed", "A stream counts the children of a parent.", A, JOBS)
WEBHOOK_CHILDREN = Check("event_children", "A webhook about a parent's progress counts its children.", D, WEBHOOK_PAGE)
WEBHOOK_URL = Check(
    "webhook_url", "A webhook goes to the very address that was given, its query included.", D, WEBHOOK_PAGE
)
WEBHOOK_JOB = Check("webhook_job", "A webhook names the job that it is about.", D, WEBHOOK_PAGE)
WEBHOOK_PHASE = Check("webhook_phase", "Webhooks of progress name the phase.", D, WEBHOOK_PAGE)
WEBHOOK_MEDIA = Check(
    "webhook_media", "The webhook of a job that is done has duration, width, height and size.", D, WEBHOOK_PAGE
)
WEBHOOK_SAME = Check("webhook_same", "A webhook that is sent again says the same.", A, WEBHOOK_PAGE)
WEBHOOK_SENT = Check("webhook_sent", "A job with a `callbackUrl` sends webhooks.", D, WEBHOOK_PAGE)
WEBHOOK_END = Check("webhook_end", "One webhook tells of the end.", D, WEBHOOK_PAGE)
WEBHOOK_BODY = Check("webhook_body", "The body of a webhook has the documented fields.", D, WEBHOOK_PAGE)
WEBHOOK_SIGNED = Check("webhook_signed", "Every webhook carries `x-render-signature`.", D, WEBHOOK_PAGE)
WEBHOOK_GENUINE = Check("webhook_genuine", "The signature is the HMAC-SHA256 of the raw body.", A, WEBHOOK_PAGE)
WEBHOOK_JSON = Check("webhook_json", "A webhook is a POST of JSON.", D, WEBHOOK_PAGE)
WEBHOOK_ORDER = Check("webhook_order", "The webhooks of a job arrive in the order of what they tell.", A, WEBHOOK_PAGE)
WEBHOOK_ONCE = Check("webhook_once", "A webhook that was received is not sent again.", A, WEBHOOK_PAGE)
WEBHOOK_PROGRESS = Check("webhook_progress", "Webhooks tell of progress while a job is rendered.", D, WEBHOOK_PAGE)
WEBHOOK_RETRY = Check("webhook_retry", "The webhook of the end is sent again until it is received.", A, WEBHOOK_PAGE)
