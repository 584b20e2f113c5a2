import { act, button, clockText, copy, field, fill, grid, h, later, length, percent, pretty, say, select, Table } from "./dom.js";
import { ms } from "./store.js";

const TERMINAL = ["done", "failed", "cancelled"];
const kind = (mark) => (mark.status === "queued" ? "queued" : mark.phase || mark.status);

// The life of a job as one line: what was is solid, what is to come is an outline.
export function strip(job, now, from, to, width, height = 14) {
	const x = (t) => ((Math.min(Math.max(t, from), to) - from) / (to - from || 1)) * width;
	const svg = h("svg", { class: "strip", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `${job.id || job.jobId}: ${job.marks.map((m) => `${kind(m)} from ${clockText(m.at, false)}`).join(", ")}` });
	job.marks.forEach((mark, i) => {
		const next = job.marks[i + 1], isEnd = TERMINAL.includes(mark.status);
		const begin = x(mark.at), end = isEnd ? begin + 5 : x(next ? next.at : to);
		const past = mark.at > now ? begin : isEnd ? end : Math.min(end, x(now));
		if (past > begin) svg.append(h("rect", { x: begin, y: 2, width: past - begin, height: height - 4, class: `seg ${kind(mark)}` }));
		if (end > past) svg.append(h("rect", { x: past + 0.5, y: 2.5, width: Math.max(end - past - 1, 0.5), height: height - 5, class: `seg future ${kind(mark)}` }));
	});
	if (now >= from && now <= to) svg.append(h("line", { x1: x(now), x2: x(now), y1: 0, y2: height, class: "nowline" }));
	return svg;
}

export function jobsScreen(root, ctx) {
	const { store } = ctx;
	let filter = "", status = "", errors = {};
	const detail = h("section", { class: "card detail", "aria-label": "The job" });
	const table = new Table("Jobs", [["Job", "w-id"], ["Submitted", "w-time"], ["Status", "w-status"], ["Progress", "w-num"], ["Timeline", "wide"]], row, { onpick: (job) => ctx.go({ screen: "jobs", id: job.id }) });
	const search = h("input", { type: "search", placeholder: "Filter by id", "aria-label": "Filter jobs by id", "data-filter": "", oninput: later(120, () => { filter = search.value.trim(); draw(); }) });
	const count = h("span", { class: "count" });
	root.append(h("div", { class: "bar" }, search, select("Status", [["any status", ""], "queued", "running", "waiting", ...TERMINAL], "", (v) => { status = v; draw(); }), count, button("Submit a job …", () => submitDialog(ctx), { class: "primary end" })),
		h("div", { class: "columns" }, h("section", { class: "card list", "aria-label": "List of jobs" }, table.frame), detail));
	store.once("spec").then((spec) => { errors = spec["x-job-error-catalogue"] || {}; }).catch(() => {});

	function row(job) {
		const mark = store.markAt(job), doc = store.timeline(job.id), step = doc && store.stepAt(doc);
		const progress = step ? step.progress : store.isPast ? null : job.progress;
		return [h("button", { class: "rowlink", type: "button" }, job.id), clockText(job.created), h("span", { class: `s ${mark.status}` }, mark.status, mark.phase && mark.phase !== mark.status ? h("small", {}, ` ${mark.phase}`) : null),
			progress === null ? "…" : percent(progress), strip(job, store.instant, job.created, job.ends || Math.max(store.now(), job.marks[job.marks.length - 1].at + 1000), 200)];
	}
	function draw() {
		const all = store.jobsAt();
		const shown = all.filter((j) => (!filter || j.id.includes(filter)) && (!status || store.markAt(j).status === status));
		count.textContent = `${shown.length} of ${Math.max(store.isPast ? all.length : store.jobTotal, all.length)}`;
		table.set(shown, all.length ? "No job fits the filter." : store.isPast ? "There was no job at that instant." : "No job yet. Submit one here, or from your code.", ctx.place().id || null);
	}

	let shown = null, progress = null;
	function drawDetail() {
		const id = ctx.place().id, job = store.jobs.get(id), doc = job && store.timeline(id);
		if (!id || !job) { shown = null; fill(detail, h("p", { class: "empty" }, id ? `Job ${id} is not in this sandbox.` : "Pick a job to see its timeline, with its children, events and webhooks, and to change it.")); return; }
		if (!doc) { if (shown !== id) fill(detail, h("p", { class: "empty" }, "Reading the timeline …")); return; }
		const step = store.stepAt(doc), over = TERMINAL.includes(step.status) || store.isPast;
		if (shown !== id) {
			shown = id;
			progress = h("input", { type: "range", min: "0", max: "99", "aria-label": "Least progress from now on, in percent" });
			const code = select("Error", ["the phase's own", ...Object.keys(errors)], "the phase's own");
			const hold = select("How long", [["30 s", "30s"], ["5 min", "5m"], ["1 h", "1h"], ["for ever", ""]], "30s");
			const change = (body, done) => act(() => store.send("PATCH", `jobs/${encodeURIComponent(ctx.place().id)}`, body), done);
			detail.controls = h("fieldset", { class: "controls" }, h("legend", {}, "Change it now"),
				h("span", { class: "pair" }, button("Fail", () => change(code.value in errors ? { status: "failed", error: `${code.value}: ${errors[code.value].text}` } : { status: "failed" }, "It has failed."), { class: "bad" }), code),
				button("Finish", () => change({ status: "done" }, "It is done.")), button("Cancel", () => change({ status: "cancelled" }, "It is cancelled.")),
				h("span", { class: "pair" }, button("Hold", () => change({ hold: hold.value || true }, "It stands still.")), hold),
				h("span", { class: "pair" }, button("Set progress", () => change({ progress: +progress.value / 100 }, "Its progress is raised.")), progress),
				button("Advance to its end", () => act(async () => { const j = store.jobs.get(ctx.place().id); if (!j.ends) throw new Error("This job never ends by itself: fail, finish or cancel it."); await store.send("POST", "clock/advance", { to: j.endsAt }); })));
			detail.top = h("div"); detail.more = h("div");
			fill(detail, detail.top, detail.controls, detail.more);
		}
		if (document.activeElement !== progress) progress.value = Math.round(step.progress * 100);
		detail.controls.disabled = over;
		fill(detail.top, h("div", { class: "row" }, h("h3", {}, id), button("copy id", () => copy(id, "the id"), { class: "quiet small" }), h("span", { class: `s ${step.status} end` }, step.status)),
			h("p", { class: "lead" }, `${doc.type} · ${step.phase ? `phase ${step.phase} · ` : ""}${percent(step.progress)}`, step.children ? ` · scenes: ${step.children.succeeded} of ${step.children.total} done` : "", job.ends ? ` · ${job.ends <= store.instant ? "ended" : "will be"} ${doc.outcome} at ${clockText(job.ends)}` : " · never ends by itself"),
			doc.error && step.status === "failed" ? h("p", { class: "problem" }, doc.error) : null, lanes(job, doc));
		fill(detail.more, tables(job, doc));
	}

	function lanes(job, doc) {
		const from = job.created, last = Math.max(...doc.steps.map((s) => s.at));
		const hooks = store.deliveriesAt().filter((d) => d.jobId === job.id), sent = (store.streams.get(job.id) || []).filter((e) => !store.isPast || ms(e.at) <= store.at);
		const to = Math.max(last, store.instant > last + 60000 && !job.ends ? store.instant : last, ...hooks.flatMap((d) => d.attempts.map((a) => ms(a.at))), from + 1000);
		const W = 640, x = (t) => ((Math.min(t, to) - from) / (to - from)) * W;
		const lane = (name, svg) => h("li", {}, h("span", { class: "name" }, name), svg);
		const dots = (name, items) => items.length ? lane(name, h("svg", { class: "strip", viewBox: `0 0 ${W} 14`, preserveAspectRatio: "none", role: "img", "aria-label": `${items.length} ${name}` },
			items.map((i) => h("rect", { x: Math.max(0, x(i.at) - 2.5), y: 2, width: 5, height: 10, class: `mark ${i.is}` }, h("title", {}, i.text))))) : null;
		const steps = doc.steps.map((s) => ({ at: s.at, is: s.at <= store.instant ? "past" : "future", text: `${clockText(s.at)} ${s.status} ${percent(s.progress)}` }));
		return h("figure", { class: "timeline" }, h("ul", { class: "lanes" }, lane("job", strip(job, store.instant, from, to, W)),
			doc.children.map((c, i) => lane(c.jobId.startsWith("assemble_") ? "assemble" : `scene ${i + 1}`, strip({ ...c, id: c.jobId }, store.instant, from, to, W))),
			dots("steps", steps), dots("events sent", sent.map((e) => ({ at: ms(e.at), is: "event", text: `event ${e.id}: ${e.status}` }))),
			dots("webhooks", hooks.flatMap((d) => (d.attempts.length ? d.attempts : [{ at: d.madeAt, isAccepted: false }]).map((a) => ({ at: ms(a.at), is: a.isAccepted ? "ok" : "bad", text: `${d.kind}: ${d.outcome}` }))))),
		h("figcaption", {}, h("span", {}, clockText(from)), h("span", {}, `${length(to - from)}, the line is now; outlines are still to come`), h("span", {}, clockText(to))));
	}

	function tables(job, doc) {
		const step = store.stepAt(doc), at = doc.steps.indexOf(step);
		const list = doc.steps.slice(Math.max(0, at - 8), at + 9);
		const hooks = store.deliveriesAt().filter((d) => d.jobId === job.id).slice(0, 20);
		return [h("details", { open: detail.stepsOpen, ontoggle: (e) => { detail.stepsOpen = e.target.open; } }, h("summary", {}, `Steps (${doc.steps.length})`), grid(["At", "Status", "Phase", "Progress"],
			list.map((s) => h("tr", { class: s === step ? "picked" : s.at > store.instant ? "tocome" : "" }, [clockText(s.at), s.status, s.phase || "–", percent(s.progress)].map((t) => h("td", {}, t)))))),
		hooks.length ? h("details", {}, h("summary", {}, `Webhooks (${hooks.length})`), h("ul", {}, hooks.map((d) => h("li", {}, h("a", { href: ctx.link({ screen: "webhooks", id: d.deliveryId }) }, d.deliveryId), ` ${d.kind}: ${d.outcome}`)))) : null,
		h("p", {}, h("a", { href: ctx.link({ screen: "calls", filter: job.id }) }, "Calls about this job"))];
	}

	return {
		update(topics) {
			if (["jobs", "at", "clock", "loaded", "place"].some((t) => topics.has(t))) draw();
			if (["jobs", "at", "clock", "loaded", "place", "webhooks"].some((t) => topics.has(t))) drawDetail();
		},
		tick() { draw(); drawDetail(); },
	};
}

async function submitDialog(ctx) {
	const { store } = ctx;
	const movies = await act(() => store.once("movies"));
	if (!movies) return;
	const inbox = h("input", { type: "checkbox" }), problems = h("div", { class: "problems", role: "status" });
	const text = h("textarea", { rows: "16", spellcheck: "false", "aria-label": "The submission as JSON", oninput: later(250, check) });
	const go = button("Submit", submit, { class: "primary" });
	const fix = button("Use the nearest valid one", () => { text.value = pretty(fix.body); check(); }, { hidden: true });
	const choose = select("Movie", movies.movies.map((m) => m.name), movies.movies[0].name, load);
	function load() { text.value = pretty(movies.movies.find((m) => m.name === choose.value).body); check(); }
	function read() {
		const body = JSON.parse(text.value);
		return inbox.checked ? { ...body, callbackUrl: (store.valueAt("inbox") || {}).url || "http://inbox.localhost" } : body;
	}
	async function check() {
		fix.hidden = true;
		let body;
		try { body = read(); } catch (e) { go.disabled = true; fill(problems, h("p", { class: "problem" }, e.message)); return; }
		const found = await act(() => store.send("POST", "check", { submission: body }));
		if (!found) return;
		go.disabled = false;
		fix.body = found.nearest; fix.hidden = !found.nearest;
		fill(problems, found.problems.length ? [h("p", {}, "The API will refuse this:"), h("ul", {}, found.problems.map((p) => h("li", { class: "problem" }, p)))] : h("p", { class: "fine" }, "Valid."));
	}
	async function submit() {
		if (!store.key) { say("This sandbox was opened from the list, so the page does not know its key. Open it with its key to submit.", true); return; }
		try {
			const job = await store.submit(read());
			box.close();
			say(`Submitted ${job.jobId}.`);
			ctx.go({ screen: "jobs", id: job.jobId });
		} catch (e) { fill(problems, h("p", { class: "problem" }, `${e.status || ""} ${e.message}`)); }
	}
	inbox.addEventListener("change", check);
	const box = ctx.dialog("Submit a job", h("div", {}, h("div", { class: "row" }, field("Shipped movie", choose), h("label", { class: "check" }, inbox, "Send its webhooks to the built-in receiver")), text, problems, h("div", { class: "row" }, go, fix)));
	load();
}
